package directory

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"roster/db"
	"roster/problem"
)

var codePattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// code checks the code of an organization. It returns an empty one if value is nil or
// not right.
func (f *faults) code(field string, value *string) string {
	if value == nil {
		return ""
	}
	if len(*value) > maxCode || !codePattern.MatchString(*value) {
		f.Add(problem.Invalid, field, "A code has 1 to %d lower-case letters and digits, in words joined by single hyphens.", maxCode)
		return ""
	}
	return *value
}

// insertWithCode inserts the organization. Without a code it gets the first free
// one of acme, acme-2, acme-3 and so on; a code that another transaction takes at
// the same moment is not free.
func (w *write) insertWithCode(ctx context.Context, org *db.Organization) error {
	if org.Code != "" || len(*w.faults.List) > 0 {
		org.Derive()
		return w.insert(ctx, org)
	}
	base := codeOf(org.Name, org.ID)
	taken, err := w.codesLike(ctx, base)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		org.Code = base
		if n > 1 {
			org.Code += "-" + strconv.Itoa(n)
		}
		if taken[org.Code] {
			continue
		}
		org.Derive()
		result, err := w.NewInsert().Model(org).On("conflict (code) where deleted_at is null do nothing").Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n > 0 || err != nil {
			return err
		}
	}
}

// codesLike returns the codes that are taken: base, and codes that continue it after
// a hyphen.
func (w *write) codesLike(ctx context.Context, base string) (map[string]bool, error) {
	var codes []string
	// The index knows a range: "." follows "-" in ASCII.
	if err := w.NewRaw("select code from organizations where deleted_at is null and code >= ? and code < ?", base, base+".").
		Scan(ctx, &codes); err != nil {
		return nil, err
	}
	taken := make(map[string]bool, len(codes))
	for _, code := range codes {
		taken[code] = true
	}
	return taken, nil
}

// latin spells out the Latin letters that are not another letter with a mark.
var latin = strings.NewReplacer("æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ħ", "h", "ı", "i", "'", "", "’", "")

// codeOf makes a code from a name: "Café Zoë & Co." becomes cafe-zoe-co. A name
// without Latin letters or digits becomes org- and the end of the id.
func codeOf(name string, id db.OrganizationID) string {
	const longest = maxCode - len("-1234567")
	var words []string
	var word []byte
	for _, r := range norm.NFKD.String(latin.Replace(db.Fold(name))) + " " {
		switch {
		case r < utf8.RuneSelf && (unicode.IsLower(r) || unicode.IsDigit(r)):
			word = append(word, byte(r))
		case unicode.Is(unicode.Mn, r):
		case len(word) > 0:
			words, word = append(words, string(word)), nil
		}
	}
	code := strings.Join(words, "-")
	if code == "" {
		text := id.String()
		return "org-" + text[len(text)-8:]
	}
	return strings.TrimRight(code[:min(len(code), longest)], "-")
}
