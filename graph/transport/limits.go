package transport

import (
	"cmp"
	"runtime"
	"time"

	"roster/graph/queue"
)

// DefaultTimeout is how long an operation may take. Statements have the same
// timeout (db.Open), and the server allows more for writing the answer.
const DefaultTimeout = 30 * time.Second

// waitTimeout is how long a request waits for its turn. A client that is still
// behind so many others after that is better off trying again.
const waitTimeout = 2 * time.Second

// How much runs at a time. Most queries are answered from memory, and the others
// share the connections of the database, which are fewer; a mutation holds one
// connection.
var (
	defaultQueries   = queue.Limits{Running: 256, Waiting: 4096, WaitTimeout: waitTimeout}
	defaultMutations = queue.Limits{Running: 64, Waiting: 1024, WaitTimeout: waitTimeout}
	// Most credentials are known from memory, and the others share those
	// connections.
	defaultCredentials = queue.Limits{Running: 256, Waiting: 4096, WaitTimeout: waitTimeout}
	// New documents take processors only.
	defaultDocuments = queue.Limits{Running: runtime.GOMAXPROCS(0), Waiting: 1024, WaitTimeout: waitTimeout}
	// Large requests take processors for long: most of them are left to the rest.
	defaultLarge = queue.Limits{Running: max(1, runtime.GOMAXPROCS(0)/4), Waiting: 1024, WaitTimeout: waitTimeout}
)

// A request is large when it takes some milliseconds of a processor: a body or a
// new document of that many bytes, or a query of that cost. A request of 1,000
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
	// bytesPerCost is how many bytes of a request cost 1, the unit of memory of
	// admission.Document.Cost, where they cost more than what is asked for: bodies
	// may be long for nothing.
	bytesPerCost = 64
)

// queues are the classes of work. Each has its own bounds, so that one class does
// not keep another waiting.
type queues struct {
	credentials, documents, large, queries, mutations *queue.Queue
}

func newQueues(o Options) queues {
	return queues{
		credentials: queue.New(defaultCredentials), documents: queue.New(defaultDocuments), large: queue.New(cmp.Or(o.Large, defaultLarge)),
		queries: queue.New(cmp.Or(o.Queries, defaultQueries)), mutations: queue.New(cmp.Or(o.Mutations, defaultMutations)),
	}
}
