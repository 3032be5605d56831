package graph_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"testing"

	"roster/graph/graphtest"
)

// TestWayOfAQuery checks that each function that the package comment names stands in
// the file that it names.
func TestWayOfAQuery(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	graphtest.Must(t, err)
	steps := regexp.MustCompile(`(?m)^\s(\S+\.go) +(?:(\w+)\.)?(\w+)`).FindAllStringSubmatch(file.Doc.Text(), -1)
	if len(steps) < 15 {
		t.Fatalf("only %d functions are named", len(steps))
	}
	for _, step := range steps {
		path, receiver, name := step[1], step[2], step[3]
		t.Run(path+" "+receiver+"."+name, func(t *testing.T) {
			t.Parallel()
			source, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			graphtest.Must(t, err)
			for _, declaration := range source.Decls {
				if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.Name == name && receiverOf(f) == receiver {
					return
				}
			}
			t.Errorf("it is not there")
		})
	}
}

func receiverOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return of.(*ast.Ident).Name
}
