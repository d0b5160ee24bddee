// Package draw makes the pictures of the documents: SVG without fonts, scripts or
// anything else from outside.
package draw

import (
	"fmt"
	"html"
	"strings"
)

// Picture is an SVG that is made up of lines, boxes and words. Its colours suit a
// light page and, where the reader's is dark, a dark one.
type Picture struct {
	body          strings.Builder
	width, height float64
}

// The colours of shapes. They are classes, beside which may stand "line" and "dash"; of
// boxes "bar", which has no border; of words "small", "dim", "mid" and "end".
const (
	Blue   = "blue"
	Orange = "orange"
	Grey   = "grey"
	Red    = "red"
	Green  = "green"
	Purple = "purple"
)

const style = `<style>
text{font:13px system-ui,"DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:600}.small{font-size:11px}.dim{fill:#59636e}.end{text-anchor:end}.mid{text-anchor:middle}
.page{fill:#fff;stroke:#d1d9e0}.grid{stroke:#d1d9e0}.axis{stroke:#59636e}
.blue{fill:#0b67c2;stroke:#0b67c2}.orange{fill:#bc6c00;stroke:#bc6c00}.grey{fill:#7d8590;stroke:#7d8590}.red{fill:#cf222e;stroke:#cf222e}
.green{fill:#1a7f64;stroke:#1a7f64}.purple{fill:#8250df;stroke:#8250df}
text[class]{stroke:none}
polyline.line{fill:none}.line{stroke-width:2}.dash{stroke-dasharray:5 4}rect.bar{stroke:none;opacity:.9}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9198a1}.page{fill:#0d1117;stroke:#3d444d}.grid{stroke:#30363d}.axis{stroke:#9198a1}
.blue{fill:#4c9df3;stroke:#4c9df3}.orange{fill:#e09b3d;stroke:#e09b3d}.red{fill:#f85149;stroke:#f85149}
.green{fill:#3fb68b;stroke:#3fb68b}.purple{fill:#a880f0;stroke:#a880f0}}
</style>
`

// New returns a picture of a size in pixels, with its title.
func New(width, height float64, title string) *Picture {
	p := &Picture{width: width, height: height}
	p.Rect(0.5, 0.5, width-1, height-1, "page")
	p.Text(20, 28, "title", title)
	return p
}

// Line draws a line.
func (p *Picture) Line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&p.body, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// Rect draws a box; one of negative width is not wide.
func (p *Picture) Rect(x, y, w, h float64, class string) {
	fmt.Fprintf(&p.body, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"/>`+"\n", x, y, max(w, 0), h, class)
}

// Dot draws a full circle.
func (p *Picture) Dot(x, y, r float64, class string) {
	fmt.Fprintf(&p.body, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s"/>`+"\n", x, y, r, class)
}

// Text writes words that begin at x, or end or are centred there, by class.
func (p *Picture) Text(x, y float64, class, words string) {
	fmt.Fprintf(&p.body, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(words))
}

// Path joins points.
func (p *Picture) Path(points [][2]float64, class string) {
	var list []string
	for _, at := range points {
		list = append(list, fmt.Sprintf("%.1f,%.1f", at[0], at[1]))
	}
	fmt.Fprintf(&p.body, `<polyline points="%s" class="%s"/>`+"\n", strings.Join(list, " "), class)
}

// Legend explains colours, from left to right.
func (p *Picture) Legend(x, y float64, entries ...[2]string) {
	for _, e := range entries {
		p.Rect(x, y-9, 12, 10, e[0]+" bar")
		p.Text(x+17, y, "small", e[1])
		x += 30 + 6.4*float64(len(e[1]))
	}
}

// String returns the SVG.
func (p *Picture) String() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`+"\n%s%s</svg>\n",
		p.width, p.height, p.width, p.height, style, p.body.String())
}
