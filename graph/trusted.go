package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"roster/graph/admission"
	"roster/problem"
)

// TrustedDocuments are documents that clients may name by an id, which is mostly
// the SHA-256 of their text.
type TrustedDocuments map[string]string

// ReadTrustedDocuments reads a manifest: that of graphql-codegen, {"id": "text"},
// or that of Apollo, {"format": "apollo-persisted-query-manifest", "version": 1,
// "operations": [{"id": …, "body": …}]}.
func ReadTrustedDocuments(manifest []byte) (TrustedDocuments, error) {
	var apollo struct {
		Format     string
		Version    int
		Operations []struct{ ID, Body string }
	}
	if err := json.Unmarshal(manifest, &apollo); err == nil && apollo.Format != "" {
		if apollo.Format != "apollo-persisted-query-manifest" || apollo.Version != 1 {
			return nil, fmt.Errorf("the format %q, version %d, is not known", apollo.Format, apollo.Version)
		}
		documents := make(TrustedDocuments, len(apollo.Operations))
		for _, operation := range apollo.Operations {
			documents[operation.ID] = operation.Body
		}
		return documents, nil
	}
	var documents TrustedDocuments
	if err := json.Unmarshal(manifest, &documents); err != nil {
		return nil, errors.New("neither an object of ids and documents nor a manifest of Apollo's")
	}
	return documents, nil
}

// CheckTrusted fails for a trusted document which a handler with these options
// would refuse. It takes no directory, so that it comes before the database.
func CheckTrusted(o Options) error {
	gate := NewHandler(o).gate
	for id, text := range o.Trusted {
		if _, err := gate.Admit(text); err != nil {
			return fmt.Errorf("the trusted document %s: %w", id, err)
		}
	}
	return nil
}

// asked is what a request asks for, before it is known which document that is.
type asked struct {
	graphql.RawParams
	// documentID names a document: as GraphQL over HTTP has it, "sha256:" and the
	// hash or another id, or as Apollo does in extensions.persistedQuery.
	documentID string
}

// persistedBytes is how much memory documents take that clients have sent once,
// to name them by their hash from then on (Apollo's automatic persisted
// queries). maxPersisted is the size of the largest.
const (
	persistedBytes = 8 << 20
	maxPersisted   = 32 << 10
)

// documents finds out which document a request asks for.
type documents struct {
	trusted TrustedDocuments
	texts   map[string]bool // of the trusted ones
	only    Clients
	sent    *admission.Cache[string]
}

func newDocuments(o Options) documents {
	d := documents{trusted: o.Trusted, only: o.TrustedOnly, texts: map[string]bool{}, sent: admission.NewCache[string](persistedBytes)}
	for _, text := range o.Trusted {
		d.texts[text] = true
	}
	return d
}

// errNotPersisted is in the words that clients of Apollo's wait for, to send the
// whole document then.
var errNotPersisted = &refusal{status: statusUnprocessable, ofDocument: true, cause: problem.New(problem.NotFound, "PersistedQueryNotFound")}

var errNotTrusted = &refusal{
	status: http.StatusForbidden,
	cause:  problem.New(problem.Forbidden, "From clients of this kind, this server answers trusted documents only: name one by its id, or send its text as it is registered."),
}

// find puts the document that is asked for into its place.
func (d *documents) find(a *asked, from Clients) error {
	id := a.id()
	if text, ok := d.trusted[id]; ok && id != "" {
		a.Query = text
		return nil
	}
	if d.only&from != 0 && !d.texts[a.Query] {
		return errNotTrusted
	}
	switch {
	case id == "":
		return nil
	case a.Query != "":
		if sum := sha256.Sum256([]byte(a.Query)); hex.EncodeToString(sum[:]) != id {
			return problem.At(problem.Invalid, "documentId", "The id is not the SHA-256 of the query.")
		}
		if len(a.Query) <= maxPersisted {
			d.sent.Add(id, a.Query, len(id)+len(a.Query))
		}
		return nil
	}
	text, ok := d.sent.Get(id)
	if !ok {
		return errNotPersisted
	}
	a.Query = text
	return nil
}

func (a *asked) id() string {
	if a.documentID != "" {
		return strings.TrimPrefix(a.documentID, "sha256:")
	}
	persisted, _ := a.Extensions["persistedQuery"].(map[string]any)
	id, _ := persisted["sha256Hash"].(string)
	return id
}
