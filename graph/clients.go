package graph

import (
	"fmt"
	"strings"

	"roster/access"
)

// Clients are classes of clients. A request may come from more than one of them.
type Clients uint8

// The classes of clients.
const (
	// Browsers are pages in a browser, known by headers that no page can leave out,
	// nor a script that somebody has put into one. A program that uses a credential
	// taken out of a browser is not among them: it sends what it likes.
	Browsers Clients = 1 << iota
	// Anonymous has no credential.
	Anonymous
	// Keys are those with an API key.
	Keys
	// AllClients are these and any others.
	AllClients = ^Clients(0)
)

// ParseClients reads names of classes, separated by commas, such as
// "browsers,anonymous"; "all" are all of them.
func ParseClients(text string) (all Clients, err error) {
	for name := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(name) {
		case "browsers":
			all |= Browsers
		case "anonymous":
			all |= Anonymous
		case "keys":
			all |= Keys
		case "all":
			all |= AllClients
		default:
			return 0, fmt.Errorf("%q is none of browsers, anonymous, keys and all", name)
		}
	}
	return all, nil
}

// clients are the classes that the request comes from. Browsers send Origin with
// every POST, and Sec-Fetch-Site with all that they send in a secure context.
func (x *exchange) clients() (all Clients) {
	if h := x.request.Header; h["Origin"] != nil || h["Sec-Fetch-Site"] != nil {
		all |= Browsers
	}
	switch actor := access.ActorOf(x.ctx); {
	case actor == nil:
		all |= Anonymous
	case actor.Key != nil:
		all |= Keys
	}
	return all
}
