package main

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	got, err := expand("arch: ${ARCH}", map[string]string{"ARCH": "arm7"})
	if err != nil || got != "arch: arm7" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := expand("a: ${ARCH} b: ${OTHER}", map[string]string{"ARCH": ""}); err == nil || !strings.Contains(err.Error(), "OTHER") {
		t.Errorf("%v", err)
	}
}

func TestOptions(t *testing.T) {
	var o options
	if err := o.parse("amd64,armhf", "rpm", nil); err != nil || len(o.arches) != 2 || len(o.formats) != 1 {
		t.Errorf("%+v %v", o, err)
	}
	for _, bad := range [][2]string{{"mips", "deb"}, {"amd64", "apk"}, {"", "deb"}} {
		if (&options{}).parse(bad[0], bad[1], nil) == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
