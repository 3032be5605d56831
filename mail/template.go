package mail

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"roster/db"
	"roster/secret"
)

// embedded holds Roster's own templates: for each kind of message a text and a page, and
// a layout around the texts, and one around the pages.
//
//go:embed templates
var embedded embed.FS

// Templates turn messages into the text that is mailed. They are safe for concurrent use.
type Templates struct {
	texts map[Kind]*texttemplate.Template
	pages map[Kind]*htmltemplate.Template
}

// Fields are what templates can use (docs/mail.md). Empty ones are not known, or not wanted.
type Fields struct {
	// Subject is for pages: the result of the template "subject" of the text.
	Subject string
	// Business is the name of the business.
	Business string
	// Name is the name of the recipient.
	Name string
	// Code is the code, and Minutes how long it works.
	Code    string
	Minutes int
	// Device is what the request came from.
	Device string
	// Provider is the name of an identity provider.
	Provider string
	// NewAddress is the new address of an account.
	NewAddress string
	// Organization is the name of the one that the recipient is invited to, and Until the
	// day, by UTC, on which the invitation expires.
	Organization, Until string
	// Link is the page where the recipient signs in, or goes on.
	Link string
	// LogoURL, PrivacyURL and TermsURL are addresses of web pages of the business.
	LogoURL, PrivacyURL, TermsURL string
	// Colour is the colour of buttons, and LabelColour that of the text on them.
	Colour, LabelColour string
}

// ParseTemplates returns the templates of a folder, and Roster's own for the files that the
// folder does not have. An empty name stands for no folder. It returns an error, one line,
// for a file that Roster would not use, and for a template that does not work: all
// messages are tried with samples.
func ParseTemplates(folder string) (*Templates, error) {
	own, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	files := layered{own: own}
	if folder != "" {
		files.over = os.DirFS(folder)
		if err := checkNames(folder, own); err != nil {
			return nil, err
		}
	}
	t := &Templates{texts: map[Kind]*texttemplate.Template{}, pages: map[Kind]*htmltemplate.Template{}}
	for kind := range kinds {
		name := string(kind)
		if t.texts[kind], err = texttemplate.New("layout.txt").ParseFS(files, "layout.txt", name+".txt"); err != nil {
			return nil, oneLine(err)
		}
		if t.pages[kind], err = htmltemplate.New("layout.html").ParseFS(files, "layout.html", name+".html"); err != nil {
			return nil, oneLine(err)
		}
	}
	for kind := range kinds {
		for _, m := range samples(kind) {
			if err := t.try(m); err != nil {
				return nil, oneLine(err)
			}
		}
	}
	return t, nil
}

// layered is a folder whose files stand in for the ones of another folder.
type layered struct{ over, own fs.FS }

// Open opens the file of the upper folder, or else the one of the lower folder.
func (l layered) Open(name string) (fs.File, error) {
	if l.over != nil {
		if f, err := l.over.Open(name); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return l.own.Open(name)
}

// checkNames returns an error if the folder has a file that stands in for none of
// Roster's own: it was probably meant to.
func checkNames(folder string, own fs.FS) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if _, err := fs.Stat(own, entry.Name()); err != nil && !strings.HasPrefix(entry.Name(), ".") {
			known, _ := fs.Glob(own, "*.txt") // the pattern is well-formed
			return fmt.Errorf("%q is the name of no template; there are %s, and the same with .html", entry.Name(), strings.Join(known, ", "))
		}
	}
	return nil
}

func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// samples returns a message of the kind that has all that a message can have, and one
// that has no more than it must.
func samples(kind Kind) []*Message {
	code := secret.Text{}
	if kinds[kind] {
		code = secret.New("27182818")
	}
	least := Message{Kind: kind, To: "ada@example.com", Code: code, Lifetime: 10 * time.Minute, Branding: Branding{Name: "Example"}}
	most := least
	most.Name, most.Device, most.NewAddress, most.Provider, most.Link = "Ada Lovelace", "Firefox on Linux", "ada@example.org", "Google", "https://accounts.example.com/signin"
	most.Organization, most.Until = "Acme", time.Date(2030, time.January, 31, 0, 0, 0, 0, time.UTC)
	most.Branding = Branding{
		Name: "Example", LogoURL: "https://example.com/logo.png", PrivacyURL: "https://example.com/privacy",
		TermsURL: "https://example.com/terms", Colour: "#0f766e",
	}
	return []*Message{&least, &most}
}

var (
	errSubject = errors.New("the subject is not one line of up to 200 bytes")
	errCode    = errors.New("the text must have the code on a line of its own, and no other number of 8 digits or more")
	errPage    = errors.New("the page must have the code once, and no other number of 8 digits or more")
)

// try renders a sample, and returns an error if its result is not what a mail has to be.
func (t *Templates) try(m *Message) error {
	content, err := t.render(m)
	if err != nil {
		return err
	}
	name, code := string(m.Kind), m.Code.Reveal()
	alone := code == "" || slices.Contains(strings.Split(content.Text, "\n"), code)
	const longest = 200 // bytes
	switch {
	case content.Subject == "" || len(content.Subject) > longest || strings.ContainsAny(content.Subject, "\r\n"):
		return fmt.Errorf("%s.txt: %w", name, errSubject)
	case !alone || code != "" && !onlyNumber(content.Subject+"\n"+content.Text, code):
		return fmt.Errorf("%s.txt: %w", name, errCode)
	case code != "" && !onlyNumber(content.HTML, code):
		return fmt.Errorf("%s.html: %w", name, errPage)
	}
	return nil
}

func onlyNumber(text, code string) bool {
	numbers := longNumber.FindAllString(text, -1)
	return len(numbers) == 1 && numbers[0] == code
}

// content is what the reader sees of a mail.
type content struct{ Subject, Text, HTML string }

// blankLines matches what templates leave where there was nothing to say.
var blankLines = regexp.MustCompile(`\n{3,}`)

// render returns the content of a mail with the message.
func (t *Templates) render(m *Message) (c content, err error) {
	f := m.fields()
	text, page := t.texts[m.Kind], t.pages[m.Kind]
	var subject, body, html bytes.Buffer
	if err := text.ExecuteTemplate(&subject, "subject", f); err != nil {
		return c, err
	}
	f.Subject = strings.TrimSpace(subject.String())
	if err := text.Execute(&body, f); err != nil {
		return c, err
	}
	if err := page.Execute(&html, f); err != nil {
		return c, err
	}
	plainText := blankLines.ReplaceAllString(strings.TrimSpace(strings.ReplaceAll(body.String(), "\r\n", "\n")), "\n\n")
	return content{Subject: f.Subject, Text: plainText + "\n", HTML: html.String()}, nil
}

// fields returns what templates see of the message. Its texts are harmless.
func (m *Message) fields() Fields {
	b := m.Branding
	f := Fields{
		Business: cmp.Or(spaced(plain(b.Name)), "Roster"), Name: personal(m.Name), Code: m.Code.Reveal(), Minutes: int(m.Lifetime.Minutes()),
		Device: personal(m.Device), Provider: personal(m.Provider), Organization: personal(m.Organization), Link: webAddress(m.Link),
		LogoURL: webAddress(b.LogoURL), PrivacyURL: webAddress(b.PrivacyURL), TermsURL: webAddress(b.TermsURL),
	}
	if isAddress(m.NewAddress) {
		f.NewAddress = m.NewAddress
	}
	if !m.Until.IsZero() {
		f.Until = m.Until.UTC().Format("2 January 2006")
	}
	f.Colour, f.LabelColour = db.ButtonColours(b.Colour)
	return f
}
