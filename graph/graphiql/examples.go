package graphiql

import (
	"embed"
	"path"
	"strings"
	"time"
)

//go:embed examples
var exampleFiles embed.FS

// Example is a document that the page offers. Its title is the name of the operation.
type Example struct {
	// Name is the name of the file, without number and extension.
	Name string `json:"name"`
	// Query is the document.
	Query string `json:"query"`
	// Variables is a JSON object as text, or empty. GraphiQL ignores the variables of
	// the first tab.
	Variables string `json:"variables"`
}

// Examples returns the documents of examples/ in the order of their file names, each
// with the variables from the .json file of the same name. {{name}} stands for
// something of the business: of the demo business, or else of any.
func Examples(demo bool) []Example {
	entries, _ := exampleFiles.ReadDir("examples") // cannot fail: it is embedded; the entries are sorted
	fill := placeholders(demo, time.Now().UTC())
	var all []Example
	for _, entry := range entries {
		name, isQuery := strings.CutSuffix(entry.Name(), ".graphql")
		if !isQuery {
			continue
		}
		_, title, _ := strings.Cut(name, "-")
		all = append(all, Example{
			Name:      title,
			Query:     fill.Replace(readExample(name + ".graphql")),
			Variables: fill.Replace(readExample(name + ".json")),
		})
	}
	return all
}

// placeholders returns what examples have in the place of {{name}}.
func placeholders(demo bool, now time.Time) *strings.Replacer {
	const day = 24 * time.Hour
	moments := []string{
		"{{anHourAgo}}", now.Add(-time.Hour).Format(time.RFC3339),
		"{{inAMonth}}", now.Add(30 * day).Truncate(day).Format(time.RFC3339),
	}
	if demo {
		return strings.NewReplacer(append(moments,
			"{{user}}", "ada.lovelace@acme.example", "{{colleague}}", "katherine.whitfield@acme.example", "{{newUser}}", "grace.hopper@acme.example",
			"{{organization}}", "acme", "{{otherOrganization}}", "globex", "{{search}}", "acme",
			"{{permission}}", "billing:approve", "{{otherPermission}}", "billing:write",
			"{{role}}", "support-agent", "{{rolePermission}}", "support:close", "{{heldRole}}", "analyst")...)
	}
	return strings.NewReplacer(append(moments,
		"{{user}}", "someone@example.com", "{{colleague}}", "another@example.com", "{{newUser}}", "someone@example.com",
		"{{organization}}", "default", "{{otherOrganization}}", "roster", "{{search}}", "example.com",
		"{{permission}}", "invoices:read", "{{otherPermission}}", "invoices:write",
		"{{role}}", "clerk", "{{rolePermission}}", "invoices:read", "{{heldRole}}", "clerk")...)
}

// readExample returns the text of a file, or an empty text if there is no such file:
// some examples have no variables.
func readExample(name string) string {
	text, _ := exampleFiles.ReadFile(path.Join("examples", name))
	return string(text)
}
