package admission

// Limits are the most that a document may have. They are far beyond what people
// and tools write, and far below what takes the server's time.
type Limits struct {
	// Bytes and Tokens count the text.
	Bytes, Tokens int
	// Operations, Fragments, Variables (of all operations), Directives and Aliases
	// are counted as they stand in the document.
	Operations, Fragments, Variables, Directives, Aliases int
	// NameBytes is the length of a name that the document makes up. Errors repeat
	// names.
	NameBytes int
	// ValueDepth is how deep lists and objects in arguments nest.
	ValueDepth int

	// The others are counted with all fragments spread, wherever they are named.

	// Depth is how deep selections nest.
	Depth int
	// Fields counts all operations and fragments.
	Fields int
	// Nodes are fields, fragments, directives, arguments and values.
	Nodes int
	// RootFields counts the fields of Query or Mutation in one operation.
	RootFields int
	// Width is how many response names one object has.
	Width int
	// Repeats is how often one response name is asked for at one place.
	Repeats int
	// Comparisons are made between fields of one response name: validation
	// compares each with each (GraphQL specification, 5.3.2).
	Comparisons int

	// Cost is the most that one operation may cost.
	Cost int

	// CachedDocument is the largest text that is remembered, CacheBytes how much
	// memory all may take.
	CachedDocument, CacheBytes int
}

// DefaultLimits let pass a mutation document of 250 fields, GraphiQL's
// introspection (depth 16, 110 fields) and documents generated of some hundred
// fragments; the worst documents that they let pass take some 20 ms.
var DefaultLimits = Limits{
	Bytes:       256 << 10,
	Tokens:      20_000,
	Operations:  50,
	Fragments:   200,
	Variables:   500,
	Directives:  500,
	Aliases:     1000,
	NameBytes:   128,
	ValueDepth:  32,
	Depth:       25,
	Fields:      5000,
	Nodes:       30_000,
	RootFields:  250,
	Width:       500,
	Repeats:     200,
	Comparisons: 20_000,
	Cost:        250_000,

	CachedDocument: 32 << 10,
	CacheBytes:     32 << 20,
}

// amount is how much a document has of something, of which Limits say how much
// is allowed.
type amount struct {
	what  string
	of    func(*Limits) int
	count int
}

// check fails with a *Refusal for the first amount that is over its limit.
func (l *Limits) check(amounts []amount) error {
	for _, a := range amounts {
		if limit := a.of(l); a.count > limit {
			return exceeds(a.what, a.count, limit)
		}
	}
	return nil
}
