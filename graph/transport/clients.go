package transport

import (
	"fmt"
	"strings"

	"roster/access"
)

// Clients is a set of classes of clients. A request may belong to more than one.
type Clients uint8

// The classes of clients.
const (
	// Browsers are pages in a browser. They are known by headers that no page can
	// leave out, nor a script that was injected into one. A program that uses a
	// credential taken out of a browser does not count: it sends what it likes.
	Browsers Clients = 1 << iota
	// Anonymous are clients without a credential.
	Anonymous
	// Keys are clients with an API key.
	Keys
	// People are clients with a session or an access token.
	People
	// AllClients are all clients, of these classes and of none.
	AllClients = ^Clients(0)
)

// ParseClients reads names of classes, separated by commas, such as
// "browsers,anonymous"; "all" means AllClients.
func ParseClients(text string) (all Clients, err error) {
	for name := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(name) {
		case "browsers":
			all |= Browsers
		case "anonymous":
			all |= Anonymous
		case "keys":
			all |= Keys
		case "people":
			all |= People
		case "all":
			all |= AllClients
		default:
			return 0, fmt.Errorf("%q is none of browsers, anonymous, keys, people and all", name)
		}
	}
	return all, nil
}

// clients returns the classes that the client belongs to. Browsers send Origin with
// every POST, and Sec-Fetch-Site with everything in a secure context.
func (r *request) clients() (all Clients) {
	if h := r.http.Header; h["Origin"] != nil || h["Sec-Fetch-Site"] != nil {
		all |= Browsers
	}
	switch actor := access.ActorOf(r.ctx); {
	case actor == nil:
		all |= Anonymous
	case actor.Key != nil:
		all |= Keys
	case actor.Session != nil:
		all |= People
	}
	return all
}
