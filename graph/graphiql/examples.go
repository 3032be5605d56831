package graphiql

import (
	"embed"
	"path"
	"strings"
)

//go:embed examples
var exampleFiles embed.FS

// Example is a document that the page opens in a tab. The title of the tab is the
// name of the operation.
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
// with the variables from the .json file of the same name. They query the demo
// business.
func Examples() []Example {
	entries, _ := exampleFiles.ReadDir("examples") // cannot fail: it is embedded; the entries are sorted
	var all []Example
	for _, entry := range entries {
		name, isQuery := strings.CutSuffix(entry.Name(), ".graphql")
		if !isQuery {
			continue
		}
		_, title, _ := strings.Cut(name, "-")
		all = append(all, Example{
			Name:      title,
			Query:     readExample(name + ".graphql"),
			Variables: readExample(name + ".json"),
		})
	}
	return all
}

// readExample returns the text of a file, or an empty text if there is no such file:
// few examples have variables.
func readExample(name string) string {
	text, _ := exampleFiles.ReadFile(path.Join("examples", name))
	return string(text)
}
