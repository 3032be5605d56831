package admission

import (
	"errors"
	"regexp"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
)

// bytesPerToken is about how much memory a parsed document takes for each of its
// tokens, measured on the demo's documents.
const bytesPerToken = 200

// count holds bytes and tokens of a text to the limits, and returns the tokens. It
// leaves text that is not a token to the parser, which says so.
func (g *Gate) count(text string) (int, error) {
	if len(text) > g.limits.Bytes {
		return 0, exceeds("bytes", len(text), g.limits.Bytes)
	}
	// A token has a byte or more, so that short texts need no counting. Most have
	// some three, with the spaces around them.
	if len(text) <= g.limits.Tokens {
		return len(text) / 3, nil
	}
	tokens := 0
	for lex := lexer.New(&ast.Source{Input: text}); ; tokens++ {
		token, err := lex.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			break
		}
	}
	if tokens > g.limits.Tokens {
		return 0, exceeds("tokens", tokens, g.limits.Tokens)
	}
	return tokens, nil
}

// syntaxRefusal tells why a text could not be parsed, without the text: the
// parser quotes what it found, which may be a secret.
func syntaxRefusal(err error) *Refusal {
	shown := &gqlerror.Error{Message: "The document is no GraphQL."}
	if found, ok := errors.AsType[*gqlerror.Error](err); ok {
		shown.Message = withoutText(found.Message)
		shown.Locations = found.Locations
	}
	return &Refusal{Errors: gqlerror.List{shown}, Syntax: true}
}

var quotedName = regexp.MustCompile(`^Expected ("[a-z]+"|[^" ]+), found ([A-Za-z]+|[^\w\s])`)

// withoutText keeps of a parser's message what does not come from the text.
func withoutText(message string) string {
	if kinds := quotedName.FindString(message); kinds != "" {
		return kinds + "."
	}
	for _, known := range []string{
		"Unexpected <EOF>", "Unexpected Name", "Unexpected String", "Unexpected BlockString", "Unexpected Int", "Unexpected Float",
		"Invalid character escape sequence", "Invalid character within String", "Invalid number", "Unterminated string",
		"Cannot parse the unexpected character", "Cannot contain the invalid character", "exceeded maximum nesting depth",
		"expected at least one definition",
	} {
		if strings.HasPrefix(message, known) {
			return strings.ToUpper(known[:1]) + known[1:] + "."
		}
	}
	if punctuator, ok := strings.CutPrefix(message, "Unexpected "); ok && len(punctuator) <= 3 {
		return message + "."
	}
	return "The document is no GraphQL."
}
