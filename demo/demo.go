// Package demo is the business that a new Roster can be filled with to be tried
// out: a dozen organizations, their people, and what those may do.
//
// It is made by the mutation documents in documents/, which a script of an
// administrator could send as they are. They name things by keys, codes and
// addresses only, never by ids, and rely on nothing but what an empty Roster
// has: the organization "default" and Roster's own roles and permissions.
package demo

import (
	"context"
	"embed"
	"fmt"
	"path"
)

//go:embed documents/*.graphql
var files embed.FS

// Document is one mutation document: one transaction.
type Document struct {
	// Name is that of the file, such as "01-permissions.graphql".
	Name string
	Text string
}

// Documents are those that make the demo business, in the order in which they
// are to run. Their variables all have defaults.
func Documents() []Document {
	entries, _ := files.ReadDir("documents") // It is in the binary, and sorted.
	all := make([]Document, len(entries))
	for i, entry := range entries {
		text, _ := files.ReadFile(path.Join("documents", entry.Name()))
		all[i] = Document{Name: entry.Name(), Text: string(text)}
	}
	return all
}

// Fill makes the demo business in an empty Roster: run is given one document
// after the other, and is to return an error if the document was not carried
// out. Fill stops at the first error, which it returns with the document's name;
// what earlier documents did remains.
func Fill(ctx context.Context, run func(ctx context.Context, document string) error) error {
	for _, document := range Documents() {
		if err := run(ctx, document.Text); err != nil {
			return fmt.Errorf("demo: %s: %w", document.Name, err)
		}
	}
	return nil
}
