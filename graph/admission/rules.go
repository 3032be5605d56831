package admission

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// MaxErrors is the most errors that are told of one document.
const MaxErrors = 20

// namedRule is a rule of validation.
type namedRule struct {
	name  string
	apply core.RuleFunc
}

// rulesOf returns the rules of the specification. gqlgen's option takes the
// suggestions out of two rules only; here they are out of all.
func rulesOf(suggestions bool) []namedRule {
	all := rules.NewDefaultRules()
	if !suggestions {
		for with, without := range map[string]core.Rule{
			rules.FieldsOnCorrectTypeRule.Name: rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
			rules.KnownArgumentNamesRule.Name:  rules.KnownArgumentNamesRuleWithoutSuggestions,
			rules.KnownTypeNamesRule.Name:      rules.KnownTypeNamesRuleWithoutSuggestions,
			rules.ScalarLeafsRule.Name:         rules.ScalarLeafsRuleWithoutSuggestions,
			rules.ValuesOfCorrectTypeRule.Name: rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
		} {
			all.ReplaceRule(with, without.RuleFunc)
		}
	}
	var named []namedRule
	for name, apply := range all.GetInner() {
		named = append(named, namedRule{name, apply})
	}
	named = append(named, namedRule{"IntsOf32Bits", intsOf32Bits})
	slices.SortFunc(named, func(a, b namedRule) int { return cmp.Compare(a.name, b.name) })
	return named
}

// intsOf32Bits holds integers to the range of Int (GraphQL specification, 3.5.1);
// the rule of gqlparser takes those of 64 bits.
func intsOf32Bits(observers *core.Events, addError core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, value *ast.Value) {
		if value.Kind != ast.IntValue || value.ExpectedType == nil || value.ExpectedType.Name() != "Int" {
			return
		}
		if n, err := strconv.ParseInt(value.Raw, 10, 64); err == nil && n != int64(int32(n)) {
			addError(core.Message("Int cannot represent non 32-bit signed integer value."), core.At(value.Position))
		}
	})
}

// enough ends validation by a panic: core.Walk knows of no other end.
type enough struct{}

// validate applies the rules, up to the last error that is told of. gqlparser
// itself goes on: 20,000 unknown fields give 3 MB of errors.
func (g *Gate) validate(document *ast.QueryDocument) (errs gqlerror.List) {
	defer func() {
		if cause := recover(); cause != nil && cause != (enough{}) {
			panic(cause)
		}
	}()
	observers := &core.Events{}
	for _, rule := range g.rules {
		rule.apply(observers, func(options ...core.ErrorOption) {
			errs = append(errs, told(rule.name, options))
			if len(errs) == MaxErrors {
				panic(enough{})
			}
		})
	}
	core.Walk(g.schema, document, observers)
	return errs
}

// told makes the error that clients see of one that a rule has found.
func told(rule string, options []core.ErrorOption) *gqlerror.Error {
	found := &gqlerror.Error{Rule: rule}
	for _, option := range options {
		option(found)
	}
	message := found.Message
	if rule == rules.ValuesOfCorrectTypeRule.Name {
		message = withoutValue(message)
	}
	return &gqlerror.Error{Message: shortened(message), Locations: found.Locations}
}

// withoutValue takes the value out of a message about a value of the wrong type,
// which may be a secret in the wrong place.
func withoutValue(message string) string {
	if input := nullOfOne.FindStringSubmatch(message); input != nil {
		return input[1] + " takes exactly one of its fields, and not null."
	}
	message, suggestion, suggested := strings.Cut(message, " Did you mean")
	for _, quoted := range []string{"value: ", "found "} {
		if before, _, ok := strings.Cut(message, quoted); ok {
			message = strings.TrimRight(before, " ,") + strings.TrimRight(" "+strings.TrimPrefix(quoted, "found "), ": ") + "."
		}
	}
	if _, enum, ok := strings.Cut(message, `" does not exist in `); ok {
		message = "The value does not exist in " + enum
	}
	if suggested {
		message += " Did you mean" + suggestion
	}
	return message
}

// nullOfOne is the message about a null in an input of which one field is to be
// given. It names the first field of the input, whichever was null.
var nullOfOne = regexp.MustCompile(`^Field "([^".]+)\.[^"]+" must be non-null\.$`)

// maxMessage is the most bytes that one message has.
const maxMessage = 400

// shortened cuts what clients have named at length.
func shortened(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "…"
}
