package pages

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"roster/problem"
	"roster/signin"
)

// flowCookie is the name of the cookie that binds a flow to the browser.
const flowCookie = "roster-flow"

// flowLife is how long the cookie lasts, as long as the flow.
const flowLife = 10 * time.Minute

// flow is what the browser keeps of a flow. Nothing of it is believed: the ticket counts
// by its secret, and an address by the rules of returnAddress.
type flow struct {
	Ticket string `json:"t,omitempty"`
	// Path is the page that takes the next step.
	Path string `json:"p,omitempty"`
	// Account is what the person called their account: an email address, or a username.
	Account string `json:"a,omitempty"`
	// ReturnTo is where the person came from.
	ReturnTo string `json:"r,omitempty"`
	// Done names what has been done, which the next page says once.
	Done string `json:"d,omitempty"`
}

// readFlow returns the flow of the cookie; the zero one for what is not one.
func readFlow(value string) (f flow) {
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || json.Unmarshal(text, &f) != nil {
		return flow{}
	}
	return f
}

// keep hands the flow to the browser.
func (r *request) keep(f flow) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // addresses would become six times as long
	if err := encoder.Encode(f); err != nil {
		panic(err) // texts are always JSON
	}
	r.pages.Cookies.SetValue(r.writer, flowCookie, base64.RawURLEncoding.EncodeToString(text.Bytes()), flowLife)
}

// forget makes the browser forget the flow.
func (r *request) forget() { r.pages.Cookies.SetValue(r.writer, flowCookie, "", 0) }

// maxAccount is how much is kept of what somebody typed, in bytes: the longest email
// address is shorter, and a cookie must not exceed 4,096.
const maxAccount = 300

// begin keeps a flow whose next step the page of the path takes, and returns the path.
func (r *request) begin(path string, step *signin.Step, account string) string {
	f := flow{Ticket: step.Ticket, Path: path, ReturnTo: r.returnTo}
	if len(account) <= maxAccount {
		f.Account = account
	}
	r.keep(f)
	return path
}

// done makes the next page say what has been done, and returns the page's address.
func (r *request) done(what, location string) string {
	r.keep(flow{Done: what})
	return location
}

// doneTexts are what is said of what has been done.
var doneTexts = map[string]string{
	"signedOut": "You are signed out.",
	"reset":     "Your new password is set. Sign in with it.",
	"profile":   "Your profile is changed.",
	"password":  "Your password is changed. You are signed out everywhere else.",
	"email":     "Your email address is changed.",
	"switched":  "You have switched to another organization.",
	"left":      "You have left the organization.",
	"ended":     "The session is ended.",
	"linked":    "You can sign in that way from now on.",
	"unlinked":  "You can no longer sign in that way.",
}

// takeDone returns what is to be said of what has been done, and forgets it.
func (r *request) takeDone() string {
	text := doneTexts[r.flow.Done]
	if text != "" {
		r.forget()
	}
	return text
}

// ticket returns the ticket of the flow that the page takes a step of. It returns
// errExpired without one.
func (r *request) ticket() (string, error) {
	if r.flow.Ticket == "" || r.flow.Path != r.path {
		return "", errExpired
	}
	return r.flow.Ticket, nil
}

// errExpired is about flows that are over, like the problem with the field that the rules
// have for them.
var errExpired = problem.At(problem.Invalid, ticketField, "This is over, or took too long.")

// ticketField is the field that problems with flows concern.
const ticketField = "input.ticket"

// expired shows that the flow is over.
func (r *request) expired() *view {
	r.forget()
	v := &view{
		template: "message", status: http.StatusGone, Title: "This took too long",
		Text:  "This page is no longer valid: more than 10 minutes have passed, or it was used before.",
		Links: []link{{r.link(Path), "Begin again"}},
	}
	if r.path == emailCodePath {
		v.Links = []link{{emailPath, "Begin again"}}
	}
	return v
}
