package firewall_test

import (
	"encoding/xml"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// service is what firewalld.service(5) says of a file like vipd.xml.
type service struct {
	XMLName     xml.Name `xml:"service"`
	Short       string   `xml:"short"`
	Description string   `xml:"description"`
	Protocols   []struct {
		Value string `xml:"value,attr"`
	} `xml:"protocol"`
	Others []struct{ XMLName xml.Name } `xml:",any"`
}

// A destination would keep either multicast or unicast peers out.
func TestFirewalldService(t *testing.T) {
	b, err := os.ReadFile("vipd.xml")
	if err != nil {
		t.Fatal(err)
	}
	var s service
	if err := xml.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	var protocols []string
	for _, p := range s.Protocols {
		protocols = append(protocols, p.Value)
	}
	if diff := cmp.Diff([]string{"vrrp", "igmp"}, protocols); diff != "" {
		t.Errorf("protocols (-want +got):\n%s", diff)
	}
	if s.Short == "" || s.Description == "" || len(s.Others) > 0 {
		t.Errorf("%+v", s)
	}
}
