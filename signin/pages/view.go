package pages

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"roster/db"
	"roster/problem"
)

// view is what a page shows. Most pages are a form, which the template of that name shows:
//
//	Title, Text
//	Fields, and the button Submit
//	Choices and Others: more buttons, which send a name and a value
//	Providers: links that look like buttons
//	Links
type view struct {
	// template is the name of the template for the content; empty means "form".
	template string
	// status is the status of the page; 0 means 200 or, where there are problems, the
	// status of the first one.
	status int

	Title, Text     string
	Fields          []*field
	Submit          string
	Dangerous       bool
	Choices, Others []button
	// Providers are other ways to do the same, above the links.
	Providers []link
	Links     []link
	// Account is for the page of the account.
	Account *account
}

// field is one field of a form.
type field struct {
	Name, Label, Hint string
	// Type, Autocomplete and Inputmode are attributes (HTML Standard, 4.10.18.7). Type is
	// "text" if it is empty, and a password is never shown again.
	Type, Autocomplete, Inputmode string
	Value, Error                  string
	Required, Hidden              bool
	// About are the fields of the input that problems with this one concern, besides the
	// one of its own name.
	About []string
}

// Described returns the ids of what describes the field.
func (f *field) Described() string {
	var all []string
	if f.Error != "" {
		all = append(all, f.Name+"-error")
	}
	if f.Hint != "" {
		all = append(all, f.Name+"-hint")
	}
	return strings.Join(all, " ")
}

// is reports whether problems with that input concern the field.
func (f *field) is(input string) bool {
	for _, name := range append(f.About, f.Name) {
		if input == "input."+name {
			return true
		}
	}
	return false
}

// button is a button that sends a name and a value with the form. It may say more to those
// who hear the page than its label.
type button struct{ Name, Value, Label string }

// link is a link to another page.
type link struct{ Address, Label string }

//go:embed templates
var files embed.FS

// templates holds a set of templates for each kind of content.
var templates = parseTemplates("form", "account", "message")

func parseTemplates(names ...string) map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range names {
		all[name] = template.Must(template.ParseFS(files, "templates/layout.html", "templates/"+name+".html"))
	}
	return all
}

// shown is what the templates see.
type shown struct {
	*view
	Business, LogoURL, PrivacyURL, TermsURL string
	// Stylesheet, Branding and Icon are addresses that change with what is there.
	Stylesheet, Branding, Icon string
	// Action is where the form is sent.
	Action string
	// Done is what is said of what has just been done.
	Done string
	// Problems are those with the form, each with the field it concerns, if it concerns one.
	Problems []concern
}

// concern is a problem with a form. Field is the id of the field; empty for the form.
type concern struct{ Field, Message string }

// show sends the view. If there are problems, it says them, and what was typed stays,
// except passwords.
func (r *request) show(v *view) {
	for _, one := range r.problems {
		if one.Field == ticketField {
			v, r.problems = r.expired(), nil
			break
		}
	}
	if v.status == 0 {
		v.status = http.StatusOK
		if len(r.problems) > 0 {
			v.status = r.statusOf(r.problems[0])
		}
	}
	s := shown{view: v, Stylesheet: stylesheetPath + "?v=" + stylesheetKey, Branding: brandingPath, Icon: iconPath, Action: r.link(r.path)}
	if r.settings != nil {
		s.brand(&r.settings.Branding)
	}
	s.Problems = v.accept(r.problems, r.form)
	if len(s.Problems) == 0 && v.status == http.StatusOK {
		s.Done = r.takeDone()
	}
	var page bytes.Buffer
	if err := templates[cmp.Or(v.template, "form")].Execute(&page, s); err != nil {
		r.pages.Log.ErrorContext(r.ctx, "a page was not made", "page", r.path, "cause", err)
		http.Error(r.writer, "Internal server error.", http.StatusInternalServerError)
		return
	}
	h := r.writer.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", r.policy(s.LogoURL))
	r.writer.WriteHeader(v.status)
	_, _ = page.WriteTo(r.writer) // only the connection can fail
}

// brand says whose pages these are.
func (s *shown) brand(b *db.Branding) {
	s.Business, s.LogoURL, s.PrivacyURL, s.TermsURL = b.Name, orEmpty(b.LogoURL), orEmpty(b.PrivacyURL), orEmpty(b.TermsURL)
	key := "?v=" + brandingKey(b)
	s.Branding, s.Icon = s.Branding+key, s.Icon+key
}

// policy returns the Content-Security-Policy of a page. Chromium takes it for redirects
// after a form, too, so that it names the origin that the browser is sent back to at the
// end.
func (r *request) policy(logo string) string {
	images, targets := "'self'", "'self'"
	if u, err := url.Parse(logo); err == nil && u.Host != "" {
		images += " " + u.Scheme + "://" + u.Host
	}
	target := originOf(r.returnTo, r.pages.ReturnOrigins)
	if strings.HasPrefix(r.returnTo, "/") {
		target = r.pages.LeadsTo(r.ctx, r.returnTo)
	}
	if target != "" {
		targets += " " + target
	}
	return fmt.Sprintf("default-src 'none'; style-src 'self'; img-src %s; form-action %s; frame-ancestors 'none'; base-uri 'none'", images, targets)
}

// accept puts what was typed into the fields, and returns the problems, each with the
// field that it concerns.
func (v *view) accept(problems []*problem.Error, typed url.Values) []concern {
	if typed != nil {
		for _, f := range v.Fields {
			if f.Type != "password" && typed.Has(f.Name) {
				f.Value = typed.Get(f.Name)
			}
		}
	}
	var all []concern
	for _, one := range problems {
		c := concern{Message: one.Message}
		for _, f := range v.Fields {
			if f.is(one.Field) && !f.Hidden {
				c.Field = f.Name
				f.Error = cmp.Or(f.Error, one.Message)
			}
		}
		all = append(all, c)
	}
	return all
}

// serveBranding serves the colours of the business as a stylesheet.
func (r *request) serveBranding() {
	button, label := db.ButtonColours(orEmpty(r.settings.Branding.Colour))
	r.serveFile("text/css; charset=utf-8", brandingKey(&r.settings.Branding), []byte(":root { --brand: "+button+"; --on-brand: "+label+"; }\n"))
}

// serveIcon serves the icon of the pages, in the colour of the business.
func (r *request) serveIcon() {
	button, label := db.ButtonColours(orEmpty(r.settings.Branding.Colour))
	icon := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="%s"/><g fill="%s"><circle cx="16" cy="12" r="5"/><path d="M6 27a10 8.5 0 0 1 20 0z"/></g></svg>`, button, label)
	r.serveFile("image/svg+xml", brandingKey(&r.settings.Branding), []byte(icon))
}

// brandingKey returns a key that changes with the colour of the business.
func brandingKey(b *db.Branding) string {
	button, _ := db.ButtonColours(orEmpty(b.Colour))
	return strings.TrimPrefix(button, "#")
}

//go:embed style.css
var stylesheet []byte

// stylesheetKey changes with the stylesheet.
var stylesheetKey = func() string {
	sum := sha256.Sum256(stylesheet)
	return hex.EncodeToString(sum[:8])
}()

func (r *request) serveStylesheet() {
	r.serveFile("text/css; charset=utf-8", stylesheetKey, stylesheet)
}

// serveFile serves a file that pages load. Browsers keep it for a year if the address has
// its key.
func (r *request) serveFile(contentType, key string, content []byte) {
	h := r.writer.Header()
	if r.http.Method != http.MethodGet && r.http.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		r.show(notAllowed())
		return
	}
	h.Set("Content-Type", contentType)
	if r.http.URL.Query().Get("v") == key {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = r.writer.Write(content) // only the connection can fail
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
