package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"roster/graph/admission"
	"roster/problem"
)

// TrustedDocuments are the texts of documents by the ids by which clients may name
// them. Most ids are the SHA-256 of the text.
type TrustedDocuments map[string]string

// ReadTrustedDocuments reads a manifest: graphql-codegen's, {"id": "text"}, or
// Apollo's, {"format": "apollo-persisted-query-manifest", "version": 1,
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

// CheckTrusted returns an error if a handler with these options would refuse one of
// the trusted documents. It needs no directory, so that it can run before the
// database is there.
func CheckTrusted(o Options) error {
	gate := NewHandler(o).gate
	for id, text := range o.Trusted {
		if _, err := gate.Admit(text); err != nil {
			return fmt.Errorf("the trusted document %s: %w", id, err)
		}
	}
	return nil
}

// Sizes, in bytes, of documents that clients have sent once to name them by their
// hash from then on (Apollo's automatic persisted queries): of all, and of one.
const (
	persistedBytes = 8 << 20
	maxPersisted   = 32 << 10
)

// documents finds the document that a request asks for.
type documents struct {
	trusted      TrustedDocuments
	trustedTexts map[string]bool
	trustedOnly  Clients
	persisted    *admission.Cache[string]
}

func newDocuments(o Options) documents {
	d := documents{trusted: o.Trusted, trustedOnly: o.TrustedOnly, trustedTexts: map[string]bool{}, persisted: admission.NewCache[string](persistedBytes)}
	for _, text := range o.Trusted {
		d.trustedTexts[text] = true
	}
	return d
}

// errNotPersisted has the words on which Apollo's clients send the whole document.
var errNotPersisted = &refusal{status: statusUnprocessable, ofDocument: true, cause: problem.New(problem.NotFound, "PersistedQueryNotFound")}

var errNotTrusted = &refusal{
	status: http.StatusForbidden,
	cause:  problem.New(problem.Forbidden, "From clients of this kind, this server answers trusted documents only: name one by its id, or send its text as it is registered."),
}

// resolve sets p.Query to the text of the document that p names. It returns an error
// if there is no such document, or if clients of these classes may not ask for it.
func (d *documents) resolve(p *requestParams, from Clients) error {
	id := p.persistedID()
	if text, ok := d.trusted[id]; ok && id != "" {
		p.Query = text
		return nil
	}
	if d.trustedOnly&from != 0 && !d.trustedTexts[p.Query] {
		return errNotTrusted
	}
	switch {
	case id == "":
		return nil
	case p.Query != "":
		if sum := sha256.Sum256([]byte(p.Query)); hex.EncodeToString(sum[:]) != id {
			return problem.At(problem.Invalid, "documentId", "The id is not the SHA-256 of the query.")
		}
		if len(p.Query) <= maxPersisted {
			d.persisted.Add(id, p.Query, len(id)+len(p.Query))
		}
		return nil
	}
	text, ok := d.persisted.Get(id)
	if !ok {
		return errNotPersisted
	}
	p.Query = text
	return nil
}

// persistedID returns the id that names the document; empty if none does.
func (p *requestParams) persistedID() string {
	if p.documentID != "" {
		return strings.TrimPrefix(p.documentID, "sha256:")
	}
	persisted, _ := p.Extensions["persistedQuery"].(map[string]any)
	id, _ := persisted["sha256Hash"].(string)
	return id
}
