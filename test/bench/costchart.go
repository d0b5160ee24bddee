package main

import (
	"fmt"

	"github.com/vipd/vipd/test/draw"
)

// costChart shows what the agents cost, against the number of VIPs.
func (b *book) costChart() *draw.Picture {
	const width, height = 270, 200
	p := draw.New(3*(width+30)+10, height+140, "Cost against the number of VIPs")
	p.Legend(20, 52, [2]string{classVipd, "vipd"}, [2]string{classKeepalived, "keepalived"})
	p.Text(190, 52, "small dim", "solid: Active, dashed: Backup; one advertisement a second, no probes")
	panels := []struct {
		title string
		of    func(expense) float64
	}{
		{"CPU seconds a minute", func(e expense) float64 { return e.CPU }},
		{"RSS in MiB", func(e expense) float64 { return float64(e.Memory.RSS) / 1024 }},
		{"wakeups a second", func(e expense) float64 { return e.Wakeups }},
	}
	for i, panel := range panels {
		b.panel(p, 45+float64(i)*(width+30), 90, width-35, height, panel.title, panel.of)
	}
	return p
}

func (b *book) panel(p *draw.Picture, left, top, width, height float64, title string, of func(expense) float64) {
	most := 0.0
	var plain []bill
	for _, x := range b.Bills {
		if !x.Load.Probes && x.Load.Families == 1 {
			plain = append(plain, x)
			most = max(most, of(x.Active), of(x.Backup))
		}
	}
	most = draw.Nice(most)
	x := func(n int) float64 { return left + width*float64(n)/255 }
	y := func(v float64) float64 { return top + height - height*v/most }
	p.Text(left, top-10, "", title)
	for i := range 5 {
		v := most * float64(i) / 4
		p.Line(left, y(v), left+width, y(v), "grid")
		p.Text(left-6, y(v)+4, "small dim end", fmt.Sprintf("%.3g", v))
	}
	for _, n := range []int{1, 64, 128, 255} {
		p.Text(x(n), top+height+18, "small dim mid", fmt.Sprint(n))
	}
	p.Text(left+width/2, top+height+34, "small dim mid", "VIPs")
	for _, agent := range []string{vipdDefault, peerDefault} {
		class := classVipd
		if agent == peerDefault {
			class = classKeepalived
		}
		var active, backup [][2]float64
		for _, b := range plain {
			if b.Agent == agent {
				active = append(active, [2]float64{x(b.Load.VRIDs), y(of(b.Active))})
				backup = append(backup, [2]float64{x(b.Load.VRIDs), y(of(b.Backup))})
			}
		}
		p.Path(backup, class+" line dash")
		p.Path(active, class+" line")
		for _, at := range active {
			p.Dot(at[0], at[1], 3, class)
		}
	}
}
