package changes_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The packages that write past a Writer, each for a reason.
var ownWriters = map[string]string{
	"changes":         "it is the writing core",
	"db":              "it runs migrations, and the transactions of the core",
	"db/migrations":   "they are SQL",
	"db/dbtest":       "it makes the databases of tests",
	"db/embedded":     "it makes the database itself",
	"mail":            "its rows stand in the transaction of what they tell, and are no facts about anybody",
	"token":           "signing keys belong to the servers, which read them by themselves",
	"idempotency":     "its rows stand beside the changes of a document's transaction",
	"transfer":        "files, plans and links on their way are no facts about anybody; what imports do to people, directory writes",
	"graph/graphtest": "it makes people for tests",
	"bench":           "it fills databases of its own",
}

// writingMethods are methods that write, or begin a transaction in which something can.
var writingMethods = []string{"NewInsert", "NewUpdate", "NewDelete", "NewMerge", "ExecContext", "Begin", "BeginTx", "RunInTx", "InTx"}

var writingText = regexp.MustCompile(`(?is)^\s*(insert into|update|delete from|truncate|merge into|with .* as \((insert|update|delete))\s`)

// Nothing writes to the database except through a Writer, which records the change, or
// whose method Unrecorded says that there is no record.
func TestNothingElseWrites(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	seen := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "testdata" || name == "generated" || name == ".git" || name == "data" || name == "node_modules") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil || ownWriters[filepath.ToSlash(dir)] != "" {
			return err
		}
		seen++
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && isWrite(f) {
				continue
			}
			ast.Inspect(declaration, func(n ast.Node) bool {
				if what := writes(n); what != "" {
					t.Errorf("%s: %s is no part of a write", files.Position(n.Pos()), what)
				}
				return true
			})
		}
		return nil
	})
	if err != nil || seen < 100 {
		t.Error(seen, err)
	}
	for dir := range ownWriters {
		if _, err := os.Stat(filepath.Join("..", dir)); err != nil {
			t.Errorf("%s has a reason to write, and is not there", dir)
		}
	}
}

// isWrite reports whether a function is given a write: as its receiver or a
// parameter, also of a function in it.
func isWrite(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if fields, ok := n.(*ast.FieldList); ok {
			found = found || slices.ContainsFunc(fields.List, isWriteType)
		}
		return !found
	})
	return found
}

func isWriteType(field *ast.Field) bool {
	pointer, ok := field.Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	switch to := pointer.X.(type) {
	case *ast.Ident:
		return to.Name == "write"
	case *ast.SelectorExpr:
		return to.Sel.Name == "Write"
	}
	return false
}

// writes returns the name of what a node does that only a write may do; empty if it does
// nothing of the kind.
func writes(n ast.Node) string {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if slices.Contains(writingMethods, n.Sel.Name) && !isUnrecorded(n.X) {
			return n.Sel.Name
		}
	case *ast.BasicLit:
		if text, err := strconv.Unquote(n.Value); err == nil && writingText.MatchString(text) {
			return strconv.Quote(text)
		}
	}
	return ""
}

// isUnrecorded reports whether an expression is a call of Writer.Unrecorded.
func isUnrecorded(of ast.Expr) bool {
	call, ok := of.(*ast.CallExpr)
	if !ok {
		return false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	return ok && method.Sel.Name == "Unrecorded"
}
