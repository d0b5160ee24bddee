package systemd

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProcessEnds(t *testing.T) {
	child := startProcess(t)
	p, err := openProcess(mainProcess{pid: child.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	select {
	case <-p.ended:
		t.Fatal("ended while it runs")
	default:
	}

	// Not waited for: a zombie has ended, too.
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		t.Fatal("its end was not seen")
	}
}

func TestProcessGone(t *testing.T) {
	child := startProcess(t)
	kill(child)
	if _, err := openProcess(mainProcess{pid: child.Process.Pid}); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v, want ESRCH", err)
	}
}

func TestProcessClose(t *testing.T) {
	p, err := openProcess(mainProcess{pid: startProcess(t).Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	select {
	case <-p.ended:
		t.Error("the end of the watch was taken for that of the process")
	default:
	}
}
