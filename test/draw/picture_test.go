package draw

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// Whatever the words, the picture is well-formed.
func TestPicture(t *testing.T) {
	p := New(100, 50, `a < b & "c"`)
	p.Line(0, 0, 1, 1, "axis")
	p.Rect(0, 0, -5, 1, Red+" bar")
	p.Dot(1, 1, 1, Blue)
	p.Path(nil, Green+" line")
	p.Path([][2]float64{{0, 1}, {2, 3}}, Green+" line")
	p.Legend(0, 0, [2]string{Grey, "</svg>"}, [2]string{Purple, ""})
	text := p.String()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	if strings.Contains(text, `width="-`) {
		t.Error("a width is negative")
	}
}

func TestNice(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, -3: 1, 0.7: 0.8, 1: 1, 1.1: 2, 37: 40, 85: 100} {
		if got := Nice(v); got < want*0.999 || got > want*1.001 {
			t.Errorf("Nice(%v) = %v, want %v", v, got, want)
		}
	}
}
