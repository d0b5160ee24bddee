package main

import "github.com/vipd/vipd/test/draw"

// The colours of the pictures: who, and what of him.
const (
	classVipd       = draw.Blue
	classKeepalived = draw.Orange
	classQuiet      = draw.Grey
	classBad        = draw.Red
	classFirst      = draw.Green
	classSecond     = draw.Purple
)
