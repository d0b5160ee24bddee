package apiserver

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReportAsKubernetesPrintsIt(t *testing.T) {
	etcdFails := failures(EtcdLost, 0)
	tests := []struct {
		name    string
		checks  []string
		fails   func(string) bool
		exclude []string
		want    string
	}{
		{
			name: "all well", checks: []string{"ping", "etcd"}, fails: failures(Ready, 0),
			want: "[+]ping ok\n[+]etcd ok\nreadyz check passed",
		},
		{
			name: "one fails", checks: []string{"ping", "etcd", "log"}, fails: etcdFails,
			want: "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nreadyz check failed",
		},
		{
			name: "excluded", checks: []string{"ping", "etcd"}, fails: etcdFails, exclude: []string{"etcd"},
			want: "[+]ping ok\n[+]etcd excluded: ok\nreadyz check passed",
		},
		{
			name: "unknown excludes", checks: []string{"ping"}, fails: etcdFails, exclude: []string{"b", "a", "b"},
			want: "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \"a\",\"b\"\nreadyz check passed",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := inspect(tt.checks, tt.fails, tt.exclude).body("readyz")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLayouts(t *testing.T) {
	tests := []struct {
		endpoint string
		kind     Kind
		has, not []string
	}{
		{"readyz", Ready, []string{"etcd", "informer-sync", "shutdown"}, []string{"etcd-readiness"}},
		{"readyz", EtcdLostFast, []string{"etcd", "etcd-readiness"}, nil},
		{"livez", EtcdLostFast, []string{"etcd"}, []string{"etcd-readiness", "informer-sync", "shutdown"}},
		{"healthz", Ready, []string{"etcd"}, []string{"shutdown"}},
	}
	for _, tt := range tests {
		list := " " + strings.Join(checks(tt.endpoint, tt.kind), " ") + " "
		for _, c := range tt.has {
			if !strings.Contains(list, " "+c+" ") {
				t.Errorf("%s in mode %s lacks %s", tt.endpoint, tt.kind, c)
			}
		}
		for _, c := range tt.not {
			if strings.Contains(list, " "+c+" ") {
				t.Errorf("%s in mode %s has %s", tt.endpoint, tt.kind, c)
			}
		}
	}
}

func TestBootingListShrinks(t *testing.T) {
	last := len(hooks()) + 1
	for _, booted := range []float64{0, 0.3, 0.6, 0.9, 1} {
		n := inspect(checks("readyz", Booting), failures(Booting, booted), nil).bad
		if n >= last && booted < 1 || n < 1 {
			t.Errorf("%v booted: %d checks fail, %d before", booted, n, last)
		}
		last = n
	}
}
