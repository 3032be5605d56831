package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"slices"

	"golang.org/x/tools/go/ast/astutil"
)

// prune rewrites the file at path without the declarations that cannot be reached
// from root, a function of the same package. Most of what gqlgen generates serves
// its own executor, which package execute stands in for.
//
// others are the remaining files of the package. A declaration counts as reached
// when one that is reached mentions its name in any sense; this may keep too much,
// and never too little, except what only reflection finds.
func prune(path, root string, others ...string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.ParseComments)
	if err != nil {
		return err
	}
	g := graph{}
	g.add(file)
	for _, other := range others {
		parsed, err := parser.ParseFile(files, other, nil, 0)
		if err != nil {
			return err
		}
		g.add(parsed)
	}
	pruned := cut(source, file, files, g.reached(root))
	if pruned, err = withoutUnusedImports(pruned); err != nil {
		return err
	}
	return os.WriteFile(path, pruned, 0o644)
}

// graph has, for each name that the package declares at its top level, the
// declarations of that name. Methods count by their own name.
type graph map[string][]ast.Decl

func (g graph) add(file *ast.File) {
	for _, declaration := range file.Decls {
		for _, name := range declared(declaration) {
			g[name] = append(g[name], declaration)
		}
	}
}

// declared returns the names that a declaration declares; none for imports.
func declared(declaration ast.Decl) (names []string) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		names = append(names, d.Name.Name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// reached returns the declarations that root leads to.
func (g graph) reached(root string) map[ast.Decl]bool {
	reached, waiting := map[ast.Decl]bool{}, slices.Clone(g[root])
	for len(waiting) > 0 {
		declaration := waiting[0]
		waiting = waiting[1:]
		if reached[declaration] {
			continue
		}
		reached[declaration] = true
		ast.Inspect(declaration, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok {
				waiting = append(waiting, g[name.Name]...)
			}
			return true
		})
	}
	return reached
}

// cut returns the source with its header, its imports and the declarations to
// keep. Comments that belong to no declaration are left out.
func cut(source []byte, file *ast.File, files *token.FileSet, keep map[ast.Decl]bool) []byte {
	var b bytes.Buffer
	write := func(from, to token.Pos) {
		b.Write(source[files.Position(from).Offset:files.Position(to).Offset])
		b.WriteString("\n\n")
	}
	write(file.FileStart, file.Name.End())
	for _, declaration := range file.Decls {
		from, imports := declaration.Pos(), false
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
		case *ast.GenDecl:
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
			imports = d.Tok == token.IMPORT
		}
		if imports || keep[declaration] {
			write(from, declaration.End())
		}
	}
	return b.Bytes()
}

func withoutUnusedImports(source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, spec := range slices.Clone(file.Imports) {
		path := spec.Path.Value[1 : len(spec.Path.Value)-1]
		name := ""
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if !astutil.UsesImport(file, path) {
			astutil.DeleteNamedImport(files, file, name, path)
		}
	}
	var b bytes.Buffer
	err = format.Node(&b, files, file)
	return b.Bytes(), err
}
