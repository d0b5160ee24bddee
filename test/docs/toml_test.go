package docs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/vipd/vipd/config"
)

const (
	addresses = "addresses = [\"192.0.2.100\"]\n"
	vrid      = "vrid = 51\n"
	keys      = "keys = [{ id = 1, file = \"/etc/vipd/keys/1\" }]\n"
)

// TestConfigurations: each piece of vipd.toml that a page shows is valid where it
// belongs.
func TestConfigurations(t *testing.T) {
	n := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.lang != "toml" || strings.HasPrefix(b.text, "[vip]\n") {
				continue
			}
			n++
			if err := loads(b.text); err != nil && !shownAsBad(p, b) {
				t.Errorf("%s:%d: %v\n%s", p.name, b.line, err, b.text)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d pieces of vipd.toml were found", n)
	}
}

// shownAsBad tells whether the page shows the errors of the block behind it.
func shownAsBad(p page, b block) bool {
	_, behind, _ := strings.Cut(p.text, b.text)
	return strings.HasPrefix(strings.TrimPrefix(behind, "```\n\nis refused with\n\n```\n"), "vipd: vipd.toml:")
}

// loads completes a piece with what it leaves out, and returns why none of the ways
// to do so makes it valid.
func loads(piece string) error {
	var errs []error
	for _, whole := range []string{
		piece,
		piece + "\n[[vip]]\n" + addresses + vrid,
		"[[vip]]\n" + addresses + vrid + piece,
		strings.Replace(piece, "[[vip]]\n", "[[vip]]\n"+addresses, 1),
		strings.Replace(piece, "[[vip]]\n", "[[vip]]\n"+addresses+vrid, 1),
		"[[vip]]\n" + addresses + vrid + strings.Replace(piece, "[auth]\n", "[auth]\n"+keys, 1),
		"[[vip]]\n" + addresses + vrid + "[auth]\n" + piece,
		"[[vip]]\n" + addresses + vrid + "[auth]\n" + keys + piece,
	} {
		_, err := config.Parse("vipd.toml", []byte(whole), config.Host{Name: "k3s1"})
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs[:2]...)
}
