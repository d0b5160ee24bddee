package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vipd/vipd/test/draw"
)

// Where things are, in pixels.
const (
	pageWidth = 960
	margin    = 20
	labels    = 70 // room for names and numbers, left of a panel
	laneTall  = 20
	chartTall = 130
	headTall  = 124
	gap       = 78 // below a panel: its time axis, and the title of the next

	legendTall = 18
)

// draw draws the panels, timelines over the whole width and the others in pairs.
func (r *recording) draw() *draw.Picture {
	tall := float64(headTall)
	for _, row := range r.rows() {
		tall += tallest(row)
	}
	p := draw.New(pageWidth, tall-20, "A failover, a lost datastore and a lost server, on the dashboard")
	p.Text(margin, 46, "small dim", fmt.Sprintf("three servers in network namespaces, scraped each second by %s; %s", r.Tool, r.When))
	var events []string
	for i, m := range r.Marks {
		events = append(events, fmt.Sprintf("%d %s", i+1, m.What))
	}
	p.Text(margin, 64, "small dim", strings.Join(events, "   "))
	top := float64(headTall)
	for _, row := range r.rows() {
		width := (pageWidth-margin)/float64(len(row)) - margin
		for i, panel := range row {
			left := margin + (width+margin)*float64(i)
			c := chart{p: p, r: r, shown: panel, left: left + labels, right: left + width, top: top, bottom: top + panel.height()}
			c.draw()
		}
		top += tallest(row)
	}
	return p
}

// tallest is what a row takes, with what is below it.
func tallest(row []shown) float64 {
	var tall float64
	for _, s := range row {
		tall = max(tall, s.height()+gap)
		if !s.isTimeline() {
			tall = max(tall, s.height()+gap+legendTall*float64(len(s.legend())))
		}
	}
	return tall
}

// rows puts the panels into rows.
func (r *recording) rows() [][]shown {
	var rows [][]shown
	for _, s := range r.Panels {
		last := len(rows) - 1
		if s.isTimeline() || last < 0 || rows[last][0].isTimeline() || len(rows[last]) == 2 {
			rows = append(rows, []shown{s})
			continue
		}
		rows[last] = append(rows[last], s)
	}
	return rows
}

func (s shown) isTimeline() bool { return s.Type == "state-timeline" }

func (s shown) height() float64 {
	if s.isTimeline() {
		return laneTall * float64(max(1, len(s.Series)))
	}
	return chartTall
}

// chart is a panel on the picture.
type chart struct {
	p                        *draw.Picture
	r                        *recording
	shown                    shown
	left, right, top, bottom float64
}

func (c chart) x(at float64) float64 { return c.left + (c.right-c.left)*at/max(c.r.Length, 1) }

func (c chart) draw() {
	c.p.Text(c.left-labels, c.top-28, "", c.shown.Title)
	for i, m := range c.r.Marks {
		c.p.Line(c.x(m.At), c.top-6, c.x(m.At), c.bottom, "axis dash")
		c.p.Text(c.x(m.At), c.top-10, "small dim mid", fmt.Sprint(i+1))
	}
	for at := 0.0; at <= c.r.Length; at += 30 {
		c.p.Text(c.x(at), c.bottom+16, "small dim mid", fmt.Sprintf("%.0f s", at))
	}
	if c.shown.isTimeline() {
		c.lanes()
		return
	}
	c.lines()
}

// lanes draws a row for each series, in the colours of its values.
func (c chart) lanes() {
	for i, s := range c.shown.Series {
		y := c.top + laneTall*float64(i)
		c.p.Text(c.left-8, y+14, "small end", s.Name)
		for _, part := range s.stretches() {
			l := c.shown.Looks[strconv.FormatFloat(part.value, 'g', -1, 64)]
			if class := colourOf(l.Color); class != "" {
				c.p.Rect(c.x(part.from), y+3, c.x(min(part.to, c.r.Length))-c.x(part.from), laneTall-6, class+" bar")
			}
		}
		c.p.Line(c.left, y+laneTall, c.right, y+laneTall, "grid")
	}
	c.key()
}

// key explains the colours of a timeline.
func (c chart) key() {
	x := c.right
	for _, value := range []string{"0", "1", "2"} {
		l := c.shown.Looks[value]
		if class := colourOf(l.Color); class != "" {
			x -= 30 + 6.4*float64(len(l.Text))
			c.p.Legend(x, c.top-28, [2]string{class, l.Text})
		}
	}
}

// colourOf is the class of a colour of Grafana's, "" of none.
func colourOf(name string) string {
	return map[string]string{"green": draw.Green, "orange": draw.Orange, "yellow": draw.Orange, "red": draw.Red}[name]
}

// stretch is a time without a change.
type stretch struct{ from, to, value float64 }

// stretches puts points that follow each other and are equal together.
func (l line) stretches() []stretch {
	var all []stretch
	for _, pt := range l.Points {
		last := len(all) - 1
		if last >= 0 && all[last].value == pt[1] && pt[0]-all[last].to < step.Seconds()/2 {
			all[last].to = pt[0] + step.Seconds()
			continue
		}
		all = append(all, stretch{pt[0], pt[0] + step.Seconds(), pt[1]})
	}
	return all
}

// lines draws values against time.
func (c chart) lines() {
	low, high := c.shown.bounds()
	y := func(v float64) float64 { return c.bottom - (c.bottom-c.top)*(v-low)/(high-low) }
	for i := range 5 {
		v := low + (high-low)*float64(i)/4
		c.p.Line(c.left, y(v), c.right, y(v), "grid")
		c.p.Text(c.left-6, y(v)+4, "small dim end", spell(v, c.shown.Unit))
	}
	for i, s := range c.shown.Series {
		class := colours()[i%len(colours())]
		for _, run := range s.runs() {
			for j := range run {
				run[j] = [2]float64{c.x(run[j][0]), y(run[j][1])}
			}
			if len(run) == 1 {
				c.p.Dot(run[0][0], run[0][1], 2.5, class)
			}
			c.p.Path(run, class+" line")
		}
	}
	for i, row := range c.shown.legend() {
		c.p.Legend(c.left-labels/2, c.bottom+34+legendTall*float64(i), row...)
	}
}

// legend explains the colours of the lines, in rows of three.
func (s shown) legend() [][][2]string {
	var entries [][2]string
	for i, l := range s.Series {
		entries = append(entries, [2]string{colours()[i%len(colours())], l.Name})
	}
	return slices.Collect(slices.Chunk(entries, 3))
}

func colours() []string {
	return []string{draw.Blue, draw.Orange, draw.Green, draw.Purple, draw.Red, draw.Grey}
}

// runs returns the points in pieces between which nothing was known.
func (l line) runs() [][][2]float64 {
	var all [][][2]float64
	for i, pt := range l.Points {
		if i == 0 || pt[0]-l.Points[i-1][0] > 1.5*step.Seconds() {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], pt)
	}
	return all
}

// bounds are round numbers around all values, and 0.
func (s shown) bounds() (low, high float64) {
	for _, l := range s.Series {
		for _, pt := range l.Points {
			low, high = min(low, pt[1]), max(high, pt[1])
		}
	}
	if low < 0 {
		both := draw.Nice(max(-low, high))
		return -both, both
	}
	return 0, draw.Nice(high)
}

// spell writes a value in its unit.
func spell(v float64, unit string) string {
	text := strconv.FormatFloat(math.Round(v*100)/100+0, 'f', -1, 64) // without the sign of a zero
	switch unit {
	case "s":
		return text + " s"
	case "pps":
		return text + "/s"
	}
	return text
}
