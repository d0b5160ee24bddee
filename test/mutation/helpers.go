package main

// helpers is put into the package: what the mutated places call. The number of the
// mutant that is on comes from the environment; 0 is none.
const helpers = `package vrrp

import (
	"cmp"
	"os"
	"strconv"
	"time"
)

type mutatedDuration = time.Duration

type integers interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

var mutant, _ = strconv.Atoi(os.Getenv("VIPD_MUTANT"))

func live(n int) bool { return mutant != n }

func not(n int, b bool) bool { return b != (mutant == n) }

func yes(n int, b bool) bool { return b || mutant == n }

func no(n int, b bool) bool { return b && mutant != n }

func keep[T any](n int, value, old T) T {
	if mutant == n {
		return old
	}
	return value
}

func zero[T integers](n int, c T) T {
	if mutant == n {
		return 1
	}
	return c
}

func konst[T integers](n int, c T) T {
	switch mutant {
	case n:
		return 0
	case n + 1:
		return c + 1
	case n + 2:
		if c != 1 {
			return c - 1
		}
	}
	return c
}

func span[T integers](n int, c T) T {
	switch mutant {
	case n:
		return 0
	case n + 1:
		return c * 2
	}
	return c
}

func gone[T integers](n int, c T) T {
	if mutant == n {
		return 0
	}
	return c
}

func less[T cmp.Ordered](n int, x, y T) bool {
	switch mutant {
	case n:
		return x <= y
	case n + 1:
		return x >= y
	}
	return x < y
}

func most[T cmp.Ordered](n int, x, y T) bool {
	switch mutant {
	case n:
		return x < y
	case n + 1:
		return x > y
	}
	return x <= y
}

func more[T cmp.Ordered](n int, x, y T) bool {
	switch mutant {
	case n:
		return x >= y
	case n + 1:
		return x <= y
	}
	return x > y
}

func least[T cmp.Ordered](n int, x, y T) bool {
	switch mutant {
	case n:
		return x > y
	case n + 1:
		return x < y
	}
	return x >= y
}

func plus[T integers](n int, x, y T) T {
	if mutant == n {
		return x - y
	}
	return x + y
}

func minus[T integers](n int, x, y T) T {
	if mutant == n {
		return x + y
	}
	return x - y
}

func times[T integers](n int, x, y T) T {
	if mutant == n {
		return x / y
	}
	return x * y
}

func over[T integers](n int, x, y T) T {
	if mutant == n {
		return x * y
	}
	return x / y
}
`
