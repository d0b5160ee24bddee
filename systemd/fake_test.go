package systemd

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// testBus is a message bus of the test's own, which can be stopped and started
// again at the same address.
type testBus struct {
	dir  string
	stop func()
}

const busConfig = `<busconfig>
  <type>session</type>
  <listen>%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>`

func newTestBus(t *testing.T) *testBus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("cannot run in CI, where a skip is a failure: needs dbus-daemon")
		}
		t.Skip("SKIP: needs dbus-daemon (package dbus)")
	}
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	b := &testBus{dir: dir}
	config := fmt.Sprintf(busConfig, b.address())
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	t.Cleanup(func() {
		b.stop()
		os.RemoveAll(dir)
	})
	return b
}

func (b *testBus) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", "--print-address",
		"--config-file="+filepath.Join(b.dir, "config"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// The address is printed once it listens.
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.stop()
		t.Fatalf("dbus-daemon did not start: %v", err)
	}
}

func (b *testBus) address() string { return "unix:path=" + filepath.Join(b.dir, "socket") }

func (b *testBus) dial(opts ...godbus.ConnOption) (*godbus.Conn, error) {
	return godbus.Connect(b.address(), opts...)
}

// connect returns a connection that ends with the test.
func (b *testBus) connect(t *testing.T) *godbus.Conn {
	t.Helper()
	conn, err := b.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// fakeSystemd is a systemd with one unit, k3s.service, which is also called
// alias.service. It speaks as systemd does: signals only to those who
// subscribed, those of the service before those of the unit.
type fakeSystemd struct {
	t    *testing.T
	conn *godbus.Conn
	path godbus.ObjectPath

	mu         sync.Mutex
	subscriber godbus.Sender // the last; "": nobody
	props      map[string]godbus.Variant
	jobs       map[godbus.ObjectPath]string
	onRead     func() // or nil
}

// values are properties by name.
type values map[string]any

func newFakeSystemd(t *testing.T, b *testBus, initial values) *fakeSystemd {
	t.Helper()
	s := &fakeSystemd{
		t:     t,
		conn:  b.connect(t),
		path:  godbus.ObjectPath("/org/freedesktop/systemd1/unit/" + dbus.PathBusEscape("k3s.service")),
		props: map[string]godbus.Variant{},
		jobs:  map[godbus.ObjectPath]string{},
	}
	s.set(values{
		"Id": "k3s.service", "LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead",
		"Job": noJob, "MainPID": uint32(0),
	})
	s.set(initial)
	for _, e := range []struct {
		methods map[string]any
		path    godbus.ObjectPath
		iface   string
	}{
		{map[string]any{"Subscribe": s.subscribe, "LoadUnit": s.loadUnit}, systemdPath, managerInterface},
		{map[string]any{"Get": s.get, "GetAll": s.getAll}, s.path, propertiesInterface},
	} {
		if err := s.conn.ExportMethodTable(e.methods, e.path, e.iface); err != nil {
			t.Fatal(err)
		}
	}
	err := s.conn.ExportSubtreeMethodTable(map[string]any{"Get": s.getJobType}, jobsPath, propertiesInterface)
	if err != nil {
		t.Fatal(err)
	}
	s.own()
	return s
}

const jobsPath = systemdPath + "/job"

// job is the value of the property Job.
type job struct {
	ID   uint32
	Path godbus.ObjectPath
}

var noJob = job{0, "/"}

// own makes it the bus's systemd.
func (s *fakeSystemd) own() {
	s.t.Helper()
	reply, err := s.conn.RequestName(systemdName, godbus.NameFlagDoNotQueue)
	if err != nil || reply != godbus.RequestNameReplyPrimaryOwner {
		s.t.Fatalf("owning %s: %v, %v", systemdName, reply, err)
	}
}

func (s *fakeSystemd) subscribe(sender godbus.Sender) *godbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriber = sender
	return nil
}

func (s *fakeSystemd) loadUnit(name string) (godbus.ObjectPath, *godbus.Error) {
	if !strings.Contains(name, ".") {
		return "", godbus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{"Unit name " + name + " is not valid."})
	}
	return s.path, nil
}

func (s *fakeSystemd) get(iface, name string) (godbus.Variant, *godbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.props[name], nil
}

func (s *fakeSystemd) getAll(iface string) (map[string]godbus.Variant, *godbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onRead != nil {
		s.onRead()
	}
	all := map[string]godbus.Variant{}
	for name, v := range s.props {
		all[name] = v
	}
	return all, nil
}

// beforeRead has f called before the properties are read.
func (s *fakeSystemd) beforeRead(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRead = f
}

// set changes properties without a signal.
func (s *fakeSystemd) set(v values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, value := range v {
		s.props[name] = godbus.MakeVariant(value)
	}
}

// change changes properties and signals it.
func (s *fakeSystemd) change(v values) {
	s.t.Helper()
	s.set(v)
	s.signal(v)
}

// signal sends what systemd sends for a change.
func (s *fakeSystemd) signal(v values) {
	s.t.Helper()
	s.mu.Lock()
	subscriber := s.subscriber
	s.mu.Unlock()
	if subscriber == "" {
		return
	}
	service, unit := map[string]godbus.Variant{}, map[string]godbus.Variant{}
	for name, value := range v {
		if strings.HasPrefix(name, "ExecMain") || name == "MainPID" {
			service[name] = godbus.MakeVariant(value)
			continue
		}
		unit[name] = godbus.MakeVariant(value)
	}
	s.emit(s.path, propertiesInterface+".PropertiesChanged", serviceInterface, service, []string{})
	s.emit(s.path, propertiesInterface+".PropertiesChanged", unitInterface, unit, []string{})
}

// forge sends from another connection a change of the unit, as if systemd had,
// and straight to the subscriber, past what it asked the bus for.
func (s *fakeSystemd) forge(from *godbus.Conn, unit map[string]godbus.Variant) {
	s.t.Helper()
	s.mu.Lock()
	subscriber := s.subscriber
	s.mu.Unlock()
	body := []any{unitInterface, unit, []string{}}
	call := from.Send(&godbus.Message{
		Type: godbus.TypeSignal,
		Headers: map[godbus.HeaderField]godbus.Variant{
			godbus.FieldDestination: godbus.MakeVariant(string(subscriber)),
			godbus.FieldPath:        godbus.MakeVariant(s.path),
			godbus.FieldInterface:   godbus.MakeVariant(propertiesInterface),
			godbus.FieldMember:      godbus.MakeVariant("PropertiesChanged"),
			godbus.FieldSignature:   godbus.MakeVariant(godbus.SignatureOf(body...)),
		},
		Body: body,
	}, nil)
	// The answer to a call that follows shows that the bus has passed it on.
	if err := from.BusObject().Call(busName+".GetId", 0).Err; call.Err != nil || err != nil {
		s.t.Fatal(call.Err, err)
	}
}

func (s *fakeSystemd) emit(path godbus.ObjectPath, name string, args ...any) {
	s.t.Helper()
	if err := s.conn.Emit(path, name, args...); err != nil {
		s.t.Fatal(err)
	}
}

// addJob makes a job; setting it as the unit's is up to the test.
func (s *fakeSystemd) addJob(id uint32, kind string) job {
	j := job{id, godbus.ObjectPath(fmt.Sprintf("%s/%d", jobsPath, id))}
	s.retype(j, kind)
	return j
}

func (s *fakeSystemd) getJobType(m godbus.Message, iface, name string) (godbus.Variant, *godbus.Error) {
	path, _ := m.Headers[godbus.FieldPath].Value().(godbus.ObjectPath)
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, ok := s.jobs[path]
	if !ok {
		return godbus.Variant{}, godbus.NewError("org.freedesktop.DBus.Error.UnknownObject", []any{"Unknown object"})
	}
	return godbus.MakeVariant(kind), nil
}

// retype changes a job's type, as systemd does with a restart.
func (s *fakeSystemd) retype(j job, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.Path] = kind
}
