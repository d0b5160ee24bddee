package systemd

import "testing"

// The end is told before systemd says how it came: what is said first must not
// contradict what is said then.
func TestDescribeExit(t *testing.T) {
	for _, tt := range []struct {
		exit exit
		want string
	}{
		{exit{}, "process 54 ended"},
		{exit{pid: 53, code: cldKilled, status: 9}, "process 54 ended"},
		{exit{54, cldExited, 1}, "process 54 exited with status 1"},
		{exit{54, cldKilled, 9}, "process 54 killed by signal 9"},
		{exit{54, cldDumped, 6}, "process 54 killed by signal 6"},
	} {
		if got := tt.exit.describe(54); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.exit, got, tt.want)
		}
	}
}
