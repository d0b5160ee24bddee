package main

import (
	"fmt"
	"html"
	"strings"
)

// picture is an SVG that is made up of lines, boxes and words. Its colours suit a
// light page and, where the reader's is dark, a dark one.
type picture struct {
	body          strings.Builder
	width, height float64
}

// The classes of shapes: who, and what of him.
const (
	classVipd       = "vipd"
	classKeepalived = "peer"
	classQuiet      = "quiet"
	classBad        = "bad"
	classFirst      = "first"
	classSecond     = "second"
)

const style = `<style>
text{font:13px system-ui,"DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:600}.small{font-size:11px}.dim{fill:#59636e}.end{text-anchor:end}.mid{text-anchor:middle}
.page{fill:#fff;stroke:#d1d9e0}.grid{stroke:#d1d9e0}.axis{stroke:#59636e}
.vipd{fill:#0b67c2;stroke:#0b67c2}.peer{fill:#bc6c00;stroke:#bc6c00}.quiet{fill:#7d8590;stroke:#7d8590}.bad{fill:#cf222e;stroke:#cf222e}
.first{fill:#1a7f64;stroke:#1a7f64}.second{fill:#8250df;stroke:#8250df}
text.vipd,text.peer,text.bad,text.quiet{stroke:none}
.line{fill:none;stroke-width:2}.dash{stroke-dasharray:5 4}.bar{stroke:none;opacity:.9}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9198a1}.page{fill:#0d1117;stroke:#3d444d}.grid{stroke:#30363d}.axis{stroke:#9198a1}
.vipd{fill:#4c9df3;stroke:#4c9df3}.peer{fill:#e09b3d;stroke:#e09b3d}.bad{fill:#f85149;stroke:#f85149}
.first{fill:#3fb68b;stroke:#3fb68b}.second{fill:#a880f0;stroke:#a880f0}}
</style>
`

func newPicture(width, height float64, title string) *picture {
	p := &picture{width: width, height: height}
	p.rect(0.5, 0.5, width-1, height-1, "page")
	p.text(20, 28, "title", title)
	return p
}

func (p *picture) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&p.body, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

func (p *picture) rect(x, y, w, h float64, class string) {
	fmt.Fprintf(&p.body, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"/>`+"\n", x, y, max(w, 0), h, class)
}

func (p *picture) dot(x, y, r float64, class string) {
	fmt.Fprintf(&p.body, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s"/>`+"\n", x, y, r, class)
}

func (p *picture) text(x, y float64, class, words string) {
	fmt.Fprintf(&p.body, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(words))
}

// path joins points.
func (p *picture) path(points [][2]float64, class string) {
	var list []string
	for _, at := range points {
		list = append(list, fmt.Sprintf("%.1f,%.1f", at[0], at[1]))
	}
	fmt.Fprintf(&p.body, `<polyline points="%s" class="%s"/>`+"\n", strings.Join(list, " "), class)
}

// legend explains classes, from left to right.
func (p *picture) legend(x, y float64, entries ...[2]string) {
	for _, e := range entries {
		p.rect(x, y-9, 12, 10, e[0]+" bar")
		p.text(x+17, y, "small", e[1])
		x += 30 + 6.4*float64(len(e[1]))
	}
}

func (p *picture) String() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f">`+"\n%s%s</svg>\n",
		p.width, p.height, p.width, p.height, style, p.body.String())
}
