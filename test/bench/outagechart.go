package main

import (
	"fmt"
	"math"
	"time"

	"github.com/vipd/vipd/test/draw"
)

// outageChart shows the outages of all faults and entrants on a log scale.
func (b *book) outageChart() *draw.Picture {
	const left, right, row, gap = 330, 860, 17, 12
	height, groups := 86.0, 0
	for _, f := range faults() {
		if n := len(b.Faults[f.name]); n > 0 {
			height += row*float64(n) + gap
			groups++
		}
	}
	p := draw.New(right+40, height+34, "Outage that a client sees, by fault")
	p.Legend(20, 52, [2]string{classVipd, "vipd"}, [2]string{classKeepalived, "keepalived"}, [2]string{classQuiet, "what protocol and kernel allow"})
	p.Text(right, 52, "small dim end", "from the least to the most; dot: median; bar: limit")
	lowest, highest := float64(time.Millisecond), float64(100*time.Second)
	x := func(d time.Duration) float64 {
		v := min(max(float64(d), lowest), highest)
		return left + (right-left)*math.Log(v/lowest)/math.Log(highest/lowest)
	}
	const top = 72.0
	bottom := height - 6
	for d, n := time.Millisecond, 0; n < 6; d, n = d*10, n+1 {
		p.Line(x(d), top, x(d), bottom, "grid")
		p.Text(x(d), bottom+18, "small dim mid", decade(d))
	}
	y := top + 14
	for _, f := range faults() {
		if len(b.Faults[f.name]) == 0 {
			continue
		}
		p.Text(20, y+4, "", f.name)
		for _, e := range entrants() {
			samples := b.Faults[f.name][e.name]
			if len(samples) == 0 {
				continue
			}
			class := classVipd
			if !e.vipd() {
				class = classKeepalived
			}
			s := spreadOf(column(samples, outage))
			p.Text(left-12, y+4, "small end "+class, e.name)
			if m := f.limit(e).Median; m > 0 {
				p.Rect(x(m)-1.5, y-7, 3, 14, "quiet bar")
			}
			p.Line(x(s.min), y, x(s.max), y, class+" line")
			p.Dot(x(s.median), y, 4.5, class)
			y += row
		}
		y += gap
	}
	return p
}

func outage(s sample) time.Duration { return s.Outage }

// decade is a power of ten of time, in words.
func decade(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
