// Package demo holds the demo business, with which people try out a new Roster: a
// dozen organizations, their people, and their roles and permissions.
//
//	documents/01-permissions.graphql  ─┐
//	documents/02-….graphql            ─┼─ Fill ─> one transaction each, in this order
//	…                                 ─┘
//
// The mutation documents in documents/ make the business. An administrator's
// script could send them as they are: they refer to users, organizations, roles
// and permissions by keys, codes and addresses, never by ids, and they expect only
// what an empty Roster has, the organization "default" and Roster's own roles and
// permissions.
//
// Begin with Fill.
package demo

import (
	"context"
	"embed"
	"fmt"
	"path"
)

//go:embed documents/*.graphql
var files embed.FS

// Document is one mutation document, which is one transaction.
type Document struct {
	// Name is the name of the file, such as "01-permissions.graphql".
	Name string
	// Text is the document itself. All of its variables have defaults.
	Text string
}

// Documents returns the documents that make the demo business, in the order in
// which they have to run.
func Documents() []Document {
	entries, _ := files.ReadDir("documents") // cannot fail: it is embedded; the entries are sorted
	all := make([]Document, len(entries))
	for i, entry := range entries {
		text, _ := files.ReadFile(path.Join("documents", entry.Name()))
		all[i] = Document{Name: entry.Name(), Text: string(text)}
	}
	return all
}

// People returns the addresses of those people of the demo business who can sign in in
// development: one who administers the business, one who administers the organization
// acme, and one who works in two organizations.
func People() []string {
	return []string{"iris.holloway@demo.example", "katherine.whitfield@acme.example", "ada.lovelace@acme.example"}
}

// Fill makes the demo business in an empty Roster. It calls run with one document
// after the other; run must return an error if the document failed. Fill stops at
// the first error and returns it with the document's name. The effects of earlier
// documents remain.
func Fill(ctx context.Context, run func(ctx context.Context, document string) error) error {
	for _, document := range Documents() {
		if err := run(ctx, document.Text); err != nil {
			return fmt.Errorf("demo: %s: %w", document.Name, err)
		}
	}
	return nil
}
