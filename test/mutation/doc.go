// Mutation changes package vrrp in small ways, one at a time, and wants a test to
// notice each: a comparison turned round, a constant replaced, a statement left out.
// It is asked first of the tests beside the code, then of the simulator. Changes that
// nobody notices and explained.txt does not explain make it fail.
//
//	go run ./test/mutation [-files machine.go,grade.go] [-match startup] [-seeds 300] [-only NUMBER]
package main
