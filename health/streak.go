package health

import (
	"slices"
	"strconv"
	"time"
)

// streak judges the answers to one question: good or bad, by how many in a row
// say so. Answers count in the order in which their probes began, for a probe
// that hangs ends long after younger ones that did not.
type streak struct {
	fall, rise int
	apart      time.Duration // probes that began closer together than this saw the same thing: they count once
	slow       time.Duration // it falls only after having failed without a break for so long
	span       time.Duration // the longest time that an answer can take

	answers []answer // by beginning
	good    bool
	settled bool // it has risen or fallen since the start
}

// answer is what came of one probe.
type answer struct {
	began   time.Time
	ended   time.Time
	failure string // "" if good
	proof   bool   // of death: as good as any number of failures
}

// weight orders answers of the same beginning: which of them stands.
func (a answer) weight() int {
	switch {
	case a.proof:
		return 2
	case a.failure == "":
		return 1
	}
	return 0
}

func (s *streak) observe(a answer) {
	i, same := slices.BinarySearchFunc(s.answers, a.began, func(b answer, t time.Time) int { return b.began.Compare(t) })
	switch {
	case !same:
		s.answers = slices.Insert(s.answers, i, a)
	case a.weight() >= s.answers[i].weight():
		s.answers[i] = a
	}
	s.forget()
	s.judge()
}

// forget drops answers too old to matter.
func (s *streak) forget() {
	horizon := s.last().began.Add(-s.slow - s.span)
	n := 0
	for len(s.answers)-n > max(s.fall, s.rise) && s.answers[n+1].began.Before(horizon) {
		n++
	}
	s.answers = slices.Delete(s.answers, 0, n)
}

func (s *streak) judge() {
	run := s.run()
	n := s.count(run)
	if s.last().failure == "" {
		if n >= s.rise {
			s.good, s.settled = true, true
		}
		return
	}
	lasted := s.last().ended.Sub(run[0].began)
	dead := slices.ContainsFunc(run, func(a answer) bool { return a.proof })
	if dead || n >= s.fall && lasted >= s.slow {
		s.good, s.settled = false, true
	}
}

// run returns the youngest answers that say the same, good or bad.
func (s *streak) run() []answer {
	good := s.last().failure == ""
	i := len(s.answers) - 1
	for i > 0 && (s.answers[i-1].failure == "") == good {
		i--
	}
	return s.answers[i:]
}

// count counts the answers of a run, those too close together as one.
func (s *streak) count(run []answer) int {
	n := 0
	var counted time.Time
	for _, a := range slices.Backward(run) {
		if n == 0 || counted.Sub(a.began) >= s.apart {
			n, counted = n+1, a.began
		}
	}
	return n
}

// last returns the answer of the youngest probe, or a zero answer.
func (s *streak) last() answer {
	if len(s.answers) == 0 {
		return answer{}
	}
	return s.answers[len(s.answers)-1]
}

// words says why the streak is not good.
func (s *streak) words() string {
	if len(s.answers) == 0 {
		return "no answer yet"
	}
	if f := s.last().failure; f != "" {
		return f
	}
	answers := "answers"
	if s.settled {
		answers = "answers again"
	}
	return answers + ", " + strconv.Itoa(s.count(s.run())) + " of " + strconv.Itoa(s.rise) + " in a row"
}
