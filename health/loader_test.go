package health

import (
	"testing"
	"testing/synctest"
	"time"
)

// A reading that has only just begun when a probe ends is not what the probe waited for.
func TestLoaderHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		l := newLoader(func(string) (*credentials, error) {
			<-goOn
			return nil, nil
		})
		go func() { _, _ = l.load(t.Context(), "") }()
		synctest.Wait()
		if l.hangs(time.Second) {
			t.Error("a reading hangs that has just begun")
		}
		time.Sleep(time.Second)
		if !l.hangs(time.Second) {
			t.Error("a reading of a second does not hang")
		}
		close(goOn)
		synctest.Wait()
		if l.hangs(0) {
			t.Error("one that has ended hangs")
		}
	})
}
