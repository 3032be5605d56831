package transport

import (
	"cmp"
	"context"
	"runtime"
	"time"

	"roster/db"
	"roster/graph/admission"
	"roster/queue"
)

// DefaultTimeout is how long an operation may take. Statements have the same
// timeout (db.Open), and the server allows more for writing the answer.
const DefaultTimeout = 30 * time.Second

// waitTimeout is how long a request waits for its turn. A client that is still
// behind so many others after that is better off trying again.
const waitTimeout = 2 * time.Second

// How much runs at a time, of which one client has a quarter at most (see
// queue.Queue). Mutations run as long as they have connections to write on.
var (
	// Queries share the connections for reads, which are fewer.
	defaultQueries = queue.Limits{Running: 64, Waiting: 1024, WaitTimeout: waitTimeout}
	// Memory answers most checks, and the others share those connections.
	defaultChecks = queue.Limits{Running: 1024, Waiting: 1024, WaitTimeout: waitTimeout}
	// New documents take processors only.
	defaultDocuments = queue.Limits{Running: runtime.GOMAXPROCS(0), Waiting: 1024, WaitTimeout: waitTimeout}
	// Large requests take processors for long: most of them are left to the rest.
	defaultLarge = queue.Limits{Running: max(1, runtime.GOMAXPROCS(0)/4), Waiting: 1024, WaitTimeout: waitTimeout}
)

// mutationLimits lets as many run as there are connections.
func mutationLimits(connections int) queue.Limits {
	return queue.Limits{Running: max(1, connections), Waiting: 1024, WaitTimeout: waitTimeout}
}

// A request is large when it takes some milliseconds of a processor: a body or a
// new document of that many bytes, or an operation of that cost. A request of 1,000
// checks is not large.
const (
	largeBody     = 256 << 10
	largeDocument = 8 << 10
	largeCost     = 25_000
)

// Sizes of requests, in bytes. Reading a body takes some times its size.
const (
	// maxBody is the most that one request may send.
	maxBody = 4 << 20
	// smallBody is how much of a body is read without a claim on maxBodies: clients
	// that send much, and slowly, take memory from each other only.
	smallBody = 64 << 10
	// maxBodies is the most that all bodies take together.
	maxBodies = 64 << 20
	// bytesPerCost is how many bytes of a request or of its answer cost 1, the unit of
	// memory of admission.Document.Cost, where they cost more than what is asked for:
	// bodies may be long for nothing, and texts longer than they usually are.
	bytesPerCost = 64
)

// queues are the classes of work. Each has its own bounds, so that one class does
// not keep another waiting.
type queues struct {
	documents, large, queries, checks, mutations *queue.Queue
	// urgent is for mutations that end access, and nothing else.
	urgent *queue.Queue
}

func newQueues(o Options) queues {
	writes, urgent := 0, 0
	if o.Directory != nil { // else nothing is carried out
		writes, urgent = o.Directory.Writers()
	}
	return queues{
		documents: queue.New(defaultDocuments), large: queue.New(cmp.Or(o.Large, defaultLarge)),
		queries: queue.New(cmp.Or(o.Queries, defaultQueries)), checks: queue.New(defaultChecks),
		mutations: queue.New(cmp.Or(o.Mutations, mutationLimits(writes))),
		urgent:    queue.New(mutationLimits(urgent - 1)), // the feed of changes needs one now and then
	}
}

// Urgently lets work in that ends access, such as signing out by another door, when it is
// its turn. It returns a context for it, whose statements run on connections of their own,
// and leave, which the caller calls when the work is done.
func (h *Handler) Urgently(ctx context.Context) (urgent context.Context, leave func(), err error) {
	leave, err = h.queues.urgent.Enter(ctx)
	return db.Urgently(ctx), leave, err
}

// Large returns how many large requests have begun.
func (h *Handler) Large() uint64 { return h.large.Load() }

// of returns the queue for an operation.
func (q *queues) of(class admission.Class, cost int) *queue.Queue {
	switch class {
	case admission.Mutation:
		return q.mutations
	case admission.Ending:
		return q.urgent
	case admission.Query, admission.Check:
	}
	switch {
	case cost > largeCost:
		return q.large
	case class == admission.Check:
		return q.checks
	}
	return q.queries
}
