package main

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/test/draw"
)

// timeline shows what a client sees of a node's death and of an API server's, the run
// in the middle of each agent at its defaults.
func (b *book) timeline() *draw.Picture {
	type lane struct {
		what, agent string
		story       *story
	}
	var lanes []lane
	longest := time.Second
	for _, name := range []string{"node death", "API killed"} {
		for _, e := range find(vipdDefault, peerDefault) {
			for _, s := range b.Faults[name][e.name] {
				if s.Story != nil {
					lanes = append(lanes, lane{name, e.name, s.Story})
					longest = max(longest, s.Story.FirstAnswer)
				}
			}
		}
	}
	const left, right, top, step = 130, 900, 104, 68
	p := draw.New(right+30, top+step*float64(len(lanes))+28, "A failover, as a client sees it")
	p.Legend(20, 52, [2]string{classFirst, "first node answers"}, [2]string{classSecond, "second node answers"}, [2]string{classBad, "nobody answers"})
	from, to := -before, longest+700*time.Millisecond
	x := func(at time.Duration) float64 {
		at = min(max(at, from), to)
		return left + (right-left)*float64(at-from)/float64(to-from)
	}
	bottom := top + step*float64(len(lanes)) - 14
	for s := time.Duration(-1); s*time.Second <= to; s++ {
		p.Line(x(s*time.Second), top-10, x(s*time.Second), bottom, "grid")
		p.Text(x(s*time.Second), bottom+18, "small dim mid", fmt.Sprintf("%d s", s))
	}
	p.Line(x(0), top-22, x(0), bottom, "axis")
	p.Text(x(0)+4, top-16, "small dim", "the fault")
	for i, l := range lanes {
		y := top + step*float64(i)
		p.Text(20, y+14, "", l.agent)
		p.Text(20, y+30, "small dim", l.what)
		s := l.story
		p.Rect(x(from), y, x(s.LastAnswer)-x(from), 18, classFirst+" bar")
		p.Rect(x(s.LastAnswer), y+6, x(s.FirstAnswer)-x(s.LastAnswer), 6, classBad+" bar")
		p.Rect(x(s.FirstAnswer), y, x(to)-x(s.FirstAnswer), 18, classSecond+" bar")
		p.Text(right, y-5, "end "+classBad, fmt.Sprintf("no answer for %.2f s", (s.FirstAnswer-s.LastAnswer).Seconds()))
		for _, a := range s.Adverts {
			class := classFirst
			if a.Node != "node1" {
				class = classSecond
			}
			if a.At < to {
				p.Dot(x(a.At), y+29, 2.5, class)
			}
		}
	}
	p.Text(right, 52, "small dim end", "dots: VRRP advertisements")
	return p
}
