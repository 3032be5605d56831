// Package admission decides which documents are worth executing.
//
// Anyone may send any document, and the rules of GraphQL by which documents are
// judged are costly to apply: some take time that grows with the square of the
// document, some grow exponentially with its fragments. A document therefore
// passes these steps, each of which is bounded by the one before:
//
//	text      bytes and tokens are counted, then it is parsed       linear in the text
//	extent    one walk, in which each fragment is measured once      linear in the document
//	overlap   one walk with all fragments spread                     bounded by the extent
//	rules     validation by gqlparser, ended by the 20th error       bounded by both
//	cost      sizes of lists multiply                                bounded by the extent
//
// A document over a limit is refused with both numbers. An admitted one is
// remembered by its text, so that it is judged once.
package admission

import (
	"fmt"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// Gate admits documents of one schema. It is safe for concurrent use.
type Gate struct {
	schema    *ast.Schema
	limits    Limits
	rules     []namedRule
	open      bool
	documents *Cache[*Document]
}

// Options are what a gate needs to know.
type Options struct {
	Schema *ast.Schema
	// Limits are the defaults unless they are set.
	Limits *Limits
	// Open lets documents ask for the schema, and errors say "Did you mean", and
	// with it what the schema has. It is meant for development.
	Open bool
}

// New makes a gate.
func New(o Options) *Gate {
	limits := DefaultLimits
	if o.Limits != nil {
		limits = *o.Limits
	}
	return &Gate{
		schema: o.Schema, limits: limits, rules: rulesOf(o.Open), open: o.Open,
		documents: NewCache[*Document](limits.CacheBytes),
	}
}

// Document is one that was admitted. It is shared by requests, and not changed.
type Document struct {
	AST   *ast.QueryDocument
	costs map[*ast.OperationDefinition]formula
}

// Operation returns the operation with the name, or the only one if name is empty.
// It returns nil if the document has no such operation.
func (d *Document) Operation(name string) *ast.OperationDefinition {
	return d.AST.Operations.ForName(name)
}

// Cost returns what an operation of the document costs with coerced variables: a
// bound on the number of values in the answer. See formula.
func (d *Document) Cost(operation *ast.OperationDefinition, variables map[string]any) int {
	return d.costs[operation].value(&sent{variables: variables})
}

// MaxCost is the most that an operation may cost.
func (g *Gate) MaxCost() int { return g.limits.Cost }

// Known returns the document with that text, if it was admitted before.
func (g *Gate) Known(text string) (*Document, bool) { return g.documents.Get(text) }

// Admit judges a document. It fails with a *Refusal.
func (g *Gate) Admit(text string) (*Document, error) {
	if known, ok := g.documents.Get(text); ok {
		return known, nil
	}
	document, tokens, err := g.judge(text)
	if err != nil {
		return nil, err
	}
	if len(text) <= g.limits.CachedDocument {
		g.documents.Add(text, document, len(text)+tokens*bytesPerToken)
	}
	return document, nil
}

func (g *Gate) judge(text string) (*Document, int, error) {
	tokens, err := g.count(text)
	if err != nil {
		return nil, 0, err
	}
	// Errors are not told with a part of the source, which gqlparser would keep
	// if it had a name.
	parsed, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		return nil, 0, syntaxRefusal(err)
	}
	if len(parsed.Operations) == 0 {
		return nil, 0, &Refusal{Errors: gqlerror.List{{Message: "The document has no operation."}}}
	}
	if err := g.measure(parsed); err != nil {
		return nil, 0, err
	}
	if errs := g.validate(parsed); len(errs) > 0 {
		return nil, 0, &Refusal{Errors: errs}
	}
	return &Document{AST: parsed, costs: g.formulas(parsed)}, tokens, nil
}

// measure holds what the document has to the limits, and nothing else: it need
// not be valid.
func (g *Gate) measure(document *ast.QueryDocument) error {
	m := measuring{fragments: fragmentsByName(document)}
	if err := m.document(document); err != nil {
		return err
	}
	if m.introspects && !g.open {
		return &Refusal{Errors: gqlerror.List{{Message: "This server does not tell its schema: it is published with its source."}}}
	}
	if err := g.limits.check(m.amounts); err != nil {
		return err
	}
	return g.limits.check(overlapOf(document, m.fragments))
}

// Refusal is why a document was not admitted. Its messages are fit to show: they
// repeat names of the document, but nothing of its values.
type Refusal struct {
	// Errors are at most 20.
	Errors gqlerror.List
	// Syntax tells that the text is no GraphQL at all.
	Syntax bool
	// Excess is the limit that the document is over, if it is over one.
	Excess *Excess
}

// Error returns the first message.
func (r *Refusal) Error() string { return r.Errors[0].Message }

// Excess is a limit, and how much of it was asked for.
type Excess struct{ Requested, Limit int }

// exceeds makes a refusal for an amount of something, such as "tokens".
func exceeds(what string, requested, limit int) *Refusal {
	message := fmt.Sprintf("The document has %s %s; at most %d are allowed.", amountText(requested), what, limit)
	return &Refusal{Errors: gqlerror.List{{Message: message}}, Excess: &Excess{requested, limit}}
}

// amountText tells an amount, unless it is beyond telling.
func amountText(n int) string {
	if n >= beyond {
		return "countless"
	}
	return fmt.Sprint(n)
}

// fragmentsByName finds fragments by name: the first of those that share one, as
// gqlparser does.
func fragmentsByName(document *ast.QueryDocument) map[string]*fragment {
	fragments := make(map[string]*fragment, len(document.Fragments))
	for _, definition := range slices.Backward(document.Fragments) {
		fragments[definition.Name] = &fragment{FragmentDefinition: definition}
	}
	return fragments
}
