package systemd

import "testing"

func TestServiceOf(t *testing.T) {
	for _, tt := range []struct{ name, cgroup, want string }{
		{"service", "0::/system.slice/vipd.service\n", "vipd.service"},
		{"delegated", "0::/system.slice/vipd.service/main\n", "vipd.service"},
		{"user's service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vipd.service\n", "vipd.service"},
		{"hybrid", "4:memory:/docker/x.service\n1:name=systemd:/system.slice/vipd.service\n0::/\n", "vipd.service"},
		{"colon in the path", "0::/system.slice/a:b.service\n", "a:b.service"},
		{"shell", "0::/user.slice/user-0.slice/session-3.scope\n", ""},
		{"no systemd", "0::/\n", ""},
		{"empty", "", ""},
		{"nonsense", "x\n:\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := serviceOf(tt.cgroup); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
