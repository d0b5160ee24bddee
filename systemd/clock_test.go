package systemd

import (
	"strings"
	"testing"

	godbus "github.com/godbus/dbus/v5"
)

func TestClockSynchronised(t *testing.T) {
	for name, tt := range map[string]struct {
		answer  any // nil: nobody answers
		want    bool
		wantErr string
	}{
		"yes":        {true, true, ""},
		"no":         {false, false, ""},
		"nobody":     {nil, false, "asking systemd-timedated about the clock"},
		"not a bool": {"yes", false, `answered "yes" when asked`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestBus(t)
			if tt.answer != nil {
				fakeTimedated(t, b, tt.answer)
			}
			got, err := (&Units{dial: b.dial}).ClockSynchronised(t.Context())
			if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%v, %v; want %v, %q", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func fakeTimedated(t *testing.T, b *testBus, answer any) {
	t.Helper()
	conn := b.connect(t)
	get := func(iface, property string) (godbus.Variant, *godbus.Error) {
		if iface != timedateName || property != "NTPSynchronized" {
			return godbus.Variant{}, godbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", nil)
		}
		return godbus.MakeVariant(answer), nil
	}
	if err := conn.ExportMethodTable(map[string]any{"Get": get}, timedatePath, propertiesInterface); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(timedateName, godbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}
