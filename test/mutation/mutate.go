package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// Mutant is one small change of the program. The changed program has all mutants in
// it, and the number in the environment chooses which of them is on.
type Mutant struct {
	Number int
	Name   string // where and what, without line numbers: explained.txt refers to it
	Line   int
	File   string
}

// file rewrites one source file. Nothing is reformatted: text is put in before and
// after what changes, and operators become commas, so that lines stay what they were.
type file struct {
	name  string
	src   []byte
	fset  *token.FileSet
	info  *types.Info
	pkg   *types.Package
	first int // number of the first mutant
	found []Mutant

	fn      string // the function around, for names
	results bool   // it returns something
	edits   []edit
	seen    map[string]int
}

// edit replaces the text from one offset to another.
type edit struct {
	from, to int
	text     string
	opens    bool // at the same offset what closes comes first
}

// rewrite returns the source with every mutant in it.
func (f *file) rewrite(tree *ast.File) []byte {
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			f.fn, f.results = nameOf(d), d.Type.Results != nil
			f.block(d.Body.List, false)
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				f.fn = "var"
				f.walk(d)
			}
		}
	}
	return f.apply()
}

func (f *file) apply() []byte {
	slices.SortStableFunc(f.edits, func(a, b edit) int {
		switch {
		case a.from != b.from:
			return a.from - b.from
		case a.opens == b.opens:
			return 0
		case a.opens:
			return 1
		}
		return -1
	})
	var out []byte
	at := 0
	for _, e := range f.edits {
		out = append(append(out, f.src[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, f.src[at:]...)
}

func nameOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	if s, ok := t.(*ast.StarExpr); ok {
		t = s.X
	}
	return t.(*ast.Ident).Name + "." + d.Name.Name
}

func (f *file) offset(p token.Pos) int { return f.fset.Position(p).Offset }

func (f *file) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(f.src[f.offset(n.Pos()):f.offset(n.End())])), " ")
}

// mutants numbers the changes of n that the words describe, and returns the first.
func (f *file) mutants(n ast.Node, words ...string) int {
	number := f.first + len(f.found)
	for i, w := range words {
		name := fmt.Sprintf("%s %s: %s: %s", f.name, f.fn, f.text(n), w)
		f.seen[name]++
		if c := f.seen[name]; c > 1 {
			name += fmt.Sprintf(" (%d)", c)
		}
		f.found = append(f.found, Mutant{Number: number + i, Name: name, File: f.name, Line: f.fset.Position(n.Pos()).Line})
	}
	return number
}

func (f *file) before(n ast.Node, format string, args ...any) {
	at := f.offset(n.Pos())
	f.edits = append(f.edits, edit{at, at, fmt.Sprintf(format, args...), true})
}

func (f *file) after(n ast.Node, text string) {
	at := f.offset(n.End())
	f.edits = append(f.edits, edit{at, at, text, false})
}

// block handles a list of statements. In the body of an if and the like a return may
// go without leaving the function without one.
func (f *file) block(list []ast.Stmt, returnsMayGo bool) {
	for _, s := range list {
		f.stmt(s, returnsMayGo)
	}
}

func (f *file) stmt(s ast.Stmt, returnsMayGo bool) {
	switch s := s.(type) {
	case *ast.BlockStmt:
		f.block(s.List, false)
	case *ast.IfStmt:
		f.ifStmt(s)
	case *ast.ForStmt:
		f.walk(s.Init, s.Post)
		f.condition(s.Cond)
		f.block(s.Body.List, true)
	case *ast.RangeStmt:
		f.walk(s.X)
		f.block(s.Body.List, true)
	case *ast.SwitchStmt:
		f.switchStmt(s)
	case *ast.ReturnStmt:
		if returnsMayGo || !f.results {
			f.droppable(s, "return dropped")
			return
		}
		f.walk(s)
	case *ast.AssignStmt:
		f.assign(s)
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.BranchStmt:
		f.droppable(s, "dropped")
	default:
		f.walk(s)
	}
}

func (f *file) ifStmt(s *ast.IfStmt) {
	f.walk(s.Init)
	f.condition(s.Cond)
	f.block(s.Body.List, s.Else == nil)
	if s.Else != nil {
		f.stmt(s.Else, false)
	}
}

func (f *file) switchStmt(s *ast.SwitchStmt) {
	f.walk(s.Init, s.Tag)
	hasDefault := slices.ContainsFunc(s.Body.List, func(c ast.Stmt) bool { return c.(*ast.CaseClause).List == nil })
	for _, c := range s.Body.List {
		c := c.(*ast.CaseClause)
		if s.Tag == nil {
			for _, e := range c.List {
				f.condition(e)
			}
		}
		f.block(c.Body, !hasDefault)
	}
}

// droppable lets a statement be left out.
func (f *file) droppable(s ast.Stmt, words string) {
	f.before(s, "if live(%d) { ", f.mutants(s, words))
	f.walk(s)
	f.after(s, " }")
}

// assign lets a variable keep its old value, each of several by itself.
func (f *file) assign(s *ast.AssignStmt) {
	switch {
	case s.Tok == token.DEFINE:
		f.walk(s)
	case s.Tok != token.ASSIGN || len(s.Lhs) == 1 || len(s.Lhs) != len(s.Rhs):
		f.droppable(s, "dropped")
	default:
		for i, r := range s.Rhs {
			f.before(r, "keep(%d, ", f.mutants(s, f.text(s.Lhs[i])+" kept"))
			f.walk(r)
			f.after(r, ", "+f.text(s.Lhs[i])+")")
		}
	}
}

// condition lets a condition be negated, unless the comparison that it is is.
func (f *file) condition(e ast.Expr) {
	switch e := e.(type) {
	case nil:
	case *ast.BinaryExpr:
		f.walk(e)
	case *ast.UnaryExpr:
		f.walk(e)
	default:
		f.wrap(e, "not(%d, ", "negated")
	}
}

func (f *file) wrap(e ast.Expr, helper string, words ...string) {
	f.before(e, helper, f.mutants(e, words...))
	f.walk(e)
	f.after(e, ")")
}

// walk handles the expressions in nodes.
func (f *file) walk(nodes ...ast.Node) {
	for _, n := range nodes {
		if n == nil {
			continue
		}
		ast.Inspect(n, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				return f.expr(e)
			}
			return true
		})
	}
}

// expr handles one expression, and returns whether to look into it.
func (f *file) expr(e ast.Expr) bool {
	t := f.info.Types[e]
	if t.IsType() {
		return false
	}
	if t.Value != nil {
		f.constant(e, t)
		return false
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return f.binary(e)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			f.before(e, "not(%d, ", f.mutants(e, "negated"))
			f.walk(e.X)
			f.after(e, ")")
			return false
		}
	case *ast.KeyValueExpr:
		f.walk(e.Value)
		return false
	case *ast.SelectorExpr:
		f.walk(e.X)
		return false
	}
	return true
}

// constant lets a number be another. Changes of a duration by a nanosecond say nothing.
func (f *file) constant(e ast.Expr, t types.TypeAndValue) {
	if t.Value.Kind() == constant.Bool {
		f.before(e, "not(%d, ", f.mutants(e, "negated"))
		f.after(e, ")")
		return
	}
	name, ok := f.integer(t.Type)
	if !ok {
		return
	}
	helper, words := "konst", []string{"0", "one more", "one less"}
	v, exact := constant.Int64Val(t.Value)
	switch {
	case v == 0:
		helper, words = "zero", []string{"1"}
	case name == "mutatedDuration" || name == "Instant":
		helper, words = "span", []string{"0", "twice"}
		if !exact || v > 1<<60 || v < -1<<60 {
			helper, words = "gone", []string{"0"}
		}
	case v == 1:
		words = words[:2]
	}
	f.before(e, "%s[%s](%d, ", helper, name, f.mutants(e, words...))
	f.after(e, ")")
}

// integer returns how to write an integer type.
func (f *file) integer(t types.Type) (string, bool) {
	b, ok := t.Underlying().(*types.Basic)
	if !ok || b.Info()&types.IsInteger == 0 {
		return "", false
	}
	t = types.Default(t)
	if t.String() == "time.Duration" {
		return "mutatedDuration", true // not every file imports time
	}
	return types.TypeString(t, types.RelativeTo(f.pkg)), true
}

// binary handles an expression with an operator of two operands.
func (f *file) binary(e *ast.BinaryExpr) bool {
	switch e.Op {
	case token.LAND, token.LOR:
		f.operand(e.X, e.Op)
		f.operand(e.Y, e.Op)
		return false
	case token.EQL, token.NEQ:
		f.before(e, "not(%d, ", f.mutants(e, "negated"))
		f.walk(e.X, e.Y)
		f.after(e, ")")
		return false
	}
	helper, others := alternatives(e.Op)
	if _, ok := f.integer(f.info.Types[e.X].Type); !ok || helper == "" {
		return true
	}
	var words []string
	for _, o := range others {
		words = append(words, e.Op.String()+" becomes "+o)
	}
	f.before(e, "%s(%d, ", helper, f.mutants(e, words...))
	f.walk(e.X)
	at := f.offset(e.OpPos)
	f.edits = append(f.edits, edit{at, at + len(e.Op.String()), ",", false})
	f.walk(e.Y)
	f.after(e, ")")
	return false
}

// operand lets an operand of && and || be left out.
func (f *file) operand(e ast.Expr, op token.Token) {
	helper := "yes(%d, "
	if op == token.LOR {
		helper = "no(%d, "
	}
	f.wrap(e, helper, "left out")
}

func alternatives(op token.Token) (helper string, others []string) {
	switch op {
	case token.LSS:
		return "less", []string{"<=", ">="}
	case token.LEQ:
		return "most", []string{"<", ">"}
	case token.GTR:
		return "more", []string{">=", "<="}
	case token.GEQ:
		return "least", []string{">", "<"}
	case token.ADD:
		return "plus", []string{"-"}
	case token.SUB:
		return "minus", []string{"+"}
	case token.MUL:
		return "times", []string{"/"}
	case token.QUO:
		return "over", []string{"*"}
	}
	return "", nil
}
