package mail

import (
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"roster/secret"
)

func ownTemplates(t *testing.T) *Templates {
	t.Helper()
	templates, err := ParseTemplates("")
	must(t, err)
	return templates
}

// Whatever people call themselves, a mail has one line with the code, no other number that
// looks like one, and nothing of theirs that is a link or a line of its own.
func TestMessages(t *testing.T) {
	t.Parallel()
	templates := ownTemplates(t)
	hostile := []string{
		"", "Ada Lovelace", "98765432", "9876 5432", "9876-5432 is your code", "Ada\r\nBcc: eve@evil.example", "Ada\n\n98765432\n", "<b>Ada</b> & \"Söhne\"",
		"visit evil.example now", "https://evil.example", "mailto:eve@evil.example", "\u202emoc.live", "A\x00d\x1ba\u200b", strings.Repeat("ä", 10_000), strings.Repeat("9", 9), "\xff\xfe",
		"{{.Code}}", "محمد", "李小龍",
	}
	for kind, hasCode := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for _, text := range hostile {
				m := Message{Kind: kind, To: "12345678@example.com", Name: text, Device: text, Lifetime: 10 * time.Minute, NewAddress: "ada@example.org",
					Link:     "https://accounts.example.com/signin?n=" + strings.Repeat("7", 20),
					Branding: Branding{Name: text, LogoURL: text, PrivacyURL: "https://example.com/20260101", TermsURL: text, Colour: text}}
				if hasCode {
					m.Code = secret.New("27182818")
				}
				must(t, m.check())
				c, err := templates.render(&m)
				must(t, err)
				checkContent(t, text, c, hasCode)
			}
		})
	}
}

func checkContent(t *testing.T, text string, c content, hasCode bool) {
	t.Helper()
	lines := strings.Split(c.Text, "\n")
	if hasCode && (!slices.Contains(lines, "27182818") || !onlyNumber(c.Subject+c.Text, "27182818") || !onlyNumber(c.HTML, "27182818")) {
		t.Errorf("of %.40q, the code is not alone in\n%s", text, c.Text)
	}
	if len(c.Subject) > 300 || len(lines) > 25 || strings.Contains(c.Text, "\n\n\n") {
		t.Errorf("of %.40q, it is long:\n%s\n%s", text, c.Subject, c.Text)
	}
	for _, part := range []string{c.Subject, strings.ReplaceAll(c.Text, "\n", ""), strings.ReplaceAll(c.HTML, "\n", "")} {
		if strings.ContainsFunc(part, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) && r != '\u00a0' }) {
			t.Errorf("of %.40q, there are control characters in %q", text, part)
		}
	}
	if strings.Contains(c.HTML, "<b>") || strings.Contains(c.HTML, "ZgotmplZ") || strings.Contains(c.HTML, "href=\"https://evil") && !strings.HasPrefix(text, "https:") {
		t.Errorf("of %.40q, the page is\n%s", text, c.HTML)
	}
	if title := html.UnescapeString(c.HTML); !strings.Contains(title, "<title>"+c.Subject+"</title>") {
		t.Errorf("of %.40q, the title is not %s", text, c.Subject)
	}
}

// What names of people may be in a mail.
func TestPersonal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Ada  Lovelace ": "Ada Lovelace", "J. R. R. Tolkien": "J. R. R. Tolkien", "O’Neill-Müller, Jr.": "O’Neill-Müller, Jr.", "Jean\tLuc\r\nPicard": "Jean Luc Picard",
		"Ada 2nd": "Ada 2nd", "Firefox on Linux": "Firefox on Linux", "a.evil.example": "", "9876 5432": "", "x@y": "", "a/b": "", strings.Repeat("é", 65): strings.Repeat("é", 64),
		"\u202eAda": "Ada", "a\u200bb": "ab",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := personal(text); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// Mails have links to web pages only, and labels that can be read.
func TestBranding(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://example.com/a?b=c": "https://example.com/a?b=c", "http://localhost:8080/": "http://localhost:8080/", "https://example.com/20260101": "https://example.com/202%36010%31",
		"javascript:alert(1)": "", "data:image/png;base64,AAAA": "", "//example.com": "", "https://": "", "https://me:secret@example.com": "", "https://example.com/\"x": "", "https://example.com/ä": "",
		"https://example.com/" + strings.Repeat("a", 2048): "", "\thttps://example.com": "",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := webAddress(text); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// A message that cannot be mailed is an error that has neither its address nor its code.
func TestIncompleteMessages(t *testing.T) {
	t.Parallel()
	good := Message{Kind: SignInCode, To: "ada@example.com", Code: secret.New("27182818")}
	must(t, good.check())
	for name, change := range map[string]func(*Message){
		"no kind":               func(m *Message) { m.Kind = "" },
		"no code":               func(m *Message) { m.Code = secret.Text{} },
		"a short code":          func(m *Message) { m.Code = secret.New("2718281") },
		"a code of two lines":   func(m *Message) { m.Code = secret.New("27182818\n27182818") },
		"a code of other signs": func(m *Message) { m.Code = secret.New("٢٧١٨٢٨١٨") },
		"a code too many":       func(m *Message) { m.Kind = PasswordChanged },
		"no address":            func(m *Message) { m.To = "" },
		"a name and an address": func(m *Message) { m.To = "Ada <ada@example.com>" },
		"two addresses":         func(m *Message) { m.To = "ada@example.com, eve@example.com" },
		"another header":        func(m *Message) { m.To = "ada@example.com\r\nBcc: eve@example.com" },
		"another header before": func(m *Message) { m.To = "a\r\nBcc: eve@example.com" },
		"no domain":             func(m *Message) { m.To = "ada@" },
		"a long address":        func(m *Message) { m.To = strings.Repeat("a", 300) + "@example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := good
			change(&m)
			if err := m.check(); err == nil || strings.Contains(err.Error(), "ada") || strings.Contains(err.Error(), "2718") {
				t.Error(err)
			}
		})
	}
}

// Templates of the operator stand in for Roster's, and are tried at the start.
func TestOwnTemplates(t *testing.T) {
	t.Parallel()
	const text = "{{define \"subject\"}}Code{{end}}{{define \"content\"}}Take\n{{.Code}}\nto {{.Business}}{{end}}"
	for name, test := range map[string]struct{ file, text, want string }{
		"a text":                      {"sign-in-code.txt", text, ""},
		"with Windows' lines":         {"sign-in-code.txt", strings.ReplaceAll(text, "\n", "\r\n"), ""},
		"a layout":                    {"layout.txt", "{{template \"content\" .}}", ""},
		"hidden":                      {".DS_Store", "\x00", ""},
		"an unknown name":             {"signin-code.txt", text, `"signin-code.txt" is the name of no template; there are account-exists.txt, `},
		"not closed":                  {"sign-in-code.txt", "{{define \"subject\"}}", "sign-in-code.txt:1: unexpected EOF"},
		"an unknown field":            {"reset-code.html", "{{define \"content\"}}{{.Codes}}{{end}}", "can't evaluate field Codes"},
		"no subject":                  {"sign-in-code.txt", "{{define \"content\"}}{{.Code}}{{end}}", `"subject"`},
		"an empty subject":            {"sign-in-code.txt", strings.Replace(text, "Code", "", 1), "sign-in-code.txt: the subject is not one line"},
		"a subject of two lines":      {"sign-in-code.txt", strings.Replace(text, "Code", "a\nb", 1), "sign-in-code.txt: the subject is not one line"},
		"no code":                     {"sign-in-code.txt", strings.Replace(text, "{{.Code}}", "it", 1), "sign-in-code.txt: the text must have the code"},
		"a code in a sentence":        {"sign-in-code.txt", strings.Replace(text, "{{.Code}}\n", "{{.Code}} ", 1), "sign-in-code.txt: the text must have the code"},
		"another number":              {"sign-in-code.txt", strings.Replace(text, "Take", "12345678", 1), "sign-in-code.txt: the text must have the code"},
		"a page without a code":       {"sign-in-code.html", "{{define \"content\"}}{{end}}", "sign-in-code.html: the page must have the code"},
		"a page that escapes nothing": {"sign-in-code.html", "{{define \"content\"}}<a href='{{.Code}}{{end}}", "html/template:layout.html: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			must(t, os.WriteFile(filepath.Join(folder, test.file), []byte(test.text), 0o600))
			templates, err := ParseTemplates(folder)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
					t.Error("the error is", err)
				}
				return
			}
			must(t, err)
			c, err := templates.render(samples(SignInCode)[0])
			must(t, err)
			if test.file == "sign-in-code.txt" && (c.Subject != "Code" || c.Text != "Hello,\n\nTake\n27182818\nto Example\n\nExample\n") {
				t.Errorf("%q", c)
			}
		})
	}
	t.Run("no folder", func(t *testing.T) {
		t.Parallel()
		if _, err := ParseTemplates(filepath.Join(t.TempDir(), "nowhere")); err == nil {
			t.Error("it is there")
		}
	})
}
