package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// usualTake is what a run takes of which nothing is known yet.
const usualTake = 16 * time.Second

// programme is the faults to be played, and what is done of them.
type programme struct {
	stage *stage
	todo  []item

	mu    sync.Mutex
	book  *book
	done  int
	red   int           // bounds that were broken
	took  time.Duration // by what is done
	ahead time.Duration // for what is not, by what it took last time
	asOf  time.Duration // what was thought that took would be
}

// item is a fault with its number in the table, and how long it should take.
type item struct {
	fault
	number int
	takes  time.Duration
}

func newProgramme(s *stage, b *book, all []fault) *programme {
	p := &programme{stage: s, book: b}
	for i, f := range all {
		if !f.named(s.only) {
			continue
		}
		n := s.times(f, choose(s.variants, i, f.only))
		if n == 0 {
			continue
		}
		it := item{f, i, time.Duration(n) * b.took(f.name)}
		p.todo, p.ahead = append(p.todo, it), p.ahead+it.takes
	}
	return p
}

// run plays all, several at once where they may be, and keeps each result as it comes.
func (p *programme) run(ctx context.Context) error {
	fmt.Printf("%d faults, about %s\n", len(p.todo), p.left())
	var alone []item
	queue := make(chan item, len(p.todo))
	for _, it := range p.todo {
		if it.alone {
			alone = append(alone, it)
			continue
		}
		queue <- it
	}
	close(queue)
	together := max(1, p.stage.together)
	errs := make([]error, together)
	var players sync.WaitGroup
	for i := range together {
		players.Go(func() {
			for it := range queue {
				errs[i] = errors.Join(errs[i], p.play(ctx, it))
			}
		})
	}
	players.Wait()
	for _, it := range alone {
		errs = append(errs, p.play(ctx, it))
	}
	if ctx.Err() != nil {
		errs = append(errs, errors.New("interrupted"))
	}
	return errors.Join(errs...)
}

func (p *programme) play(ctx context.Context, it item) error {
	if ctx.Err() != nil {
		return nil
	}
	began := time.Now()
	r := p.stage.measure(ctx, it.fault, it.number)
	if ctx.Err() != nil {
		return nil // half a result is none
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.red = p.done+1, p.red+len(r.Red)
	p.took, p.asOf, p.ahead = p.took+time.Since(began), p.asOf+it.takes, p.ahead-it.takes
	fmt.Printf("%s; %d of %d, about %s to go\n", r.line(), p.done, len(p.todo), p.left())
	return p.book.add(r)
}

// left is how long the rest will take, if it is as slow as what is done.
func (p *programme) left() time.Duration {
	d := float64(p.ahead) / float64(max(1, p.stage.together))
	if p.asOf > 0 {
		d *= float64(p.took) / float64(p.asOf)
	}
	return time.Duration(d).Round(time.Minute)
}
