package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/signin"
)

// authorization is a request for a code on its way.
type authorization struct {
	handler *Handler
	writer  http.ResponseWriter
	http    *http.Request
	query   url.Values
	app     *db.Application
	// prompt is how the person is to be asked (OpenID Connect Core, 3.1.2.1).
	prompt []string
	wish   signin.Authorization
	now    time.Time
}

// The values of prompt. There is no page of consent, since applications are the business's
// own: who asks for one gets none.
const (
	promptNone    = "none"
	promptLogin   = "login"
	promptSelect  = "select_account"
	promptConsent = "consent"
	promptCreate  = "create" // Initiating User Registration via OpenID Connect 1.0
)

// sinceParameter says, in seconds of Unix, when the browser was sent to sign in: whoever has
// signed in since then is not asked again. It is in addresses that we make ourselves.
const sinceParameter = "signed_in_since"

// authorize answers a browser that an application has sent for a code.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) {
	a := &authorization{handler: h, writer: w, http: r, query: r.URL.Query(), now: h.SignIn.Clock()}
	var err error
	if a.app, err = h.client(r.Context(), a.query.Get("client_id")); err != nil {
		h.refuse(w, r, err)
		return
	}
	to := a.query.Get("redirect_uri")
	switch {
	case a.app == nil || len(a.query["client_id"]) > 1:
		h.Refuse(w, r, noApplication())
		return
	case len(a.query["redirect_uri"]) != 1 || !directory.RedirectsTo(a.app, to):
		// Nobody is sent to an address that is not registered, not even with an error.
		h.Refuse(w, r, problem.New(problem.Invalid, "%s has no such address to send you back to (redirect_uri). Go back to it, and tell those who run it.", a.app.Name))
		return
	}
	if err := a.serve(); err != nil {
		e := h.errorOf(r.Context(), err)
		h.noteDenied(r, e)
		a.sendBack(url.Values{"error": {e.Code}, "error_description": {e.Description}})
	}
}

// refuse shows a person an error that is not theirs.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := h.errorOf(r.Context(), err)
	kind := problem.Internal
	if e.Code == unavailable {
		kind = problem.Unavailable
	}
	h.Refuse(w, r, problem.New(kind, "%s", e.Description))
}

// sendBack sends the browser to the application, with the parameters, with what it has sent
// as state, and with who answers (RFC 9207).
func (a *authorization) sendBack(parameters url.Values) {
	if state := a.query.Get("state"); state != "" {
		parameters.Set("state", state)
	}
	parameters.Set("iss", a.handler.SignIn.Issuer)
	redirect(a.writer, with(a.query.Get("redirect_uri"), parameters))
}

func (a *authorization) serve() error {
	if err := a.read(); err != nil {
		return err
	}
	r, _, err := a.handler.visit(a.writer, a.http)
	if err != nil {
		return err
	}
	if a.wish.Settled = slices.Contains(a.prompt, promptNone); !a.wish.Settled {
		actor := access.ActorOf(r.Context())
		since := a.since()
		a.wish.Settled = !since.IsZero() && actor != nil && actor.Session != nil && !actor.Session.CreatedAt.Before(since)
	}
	code, err := a.handler.SignIn.Authorize(r.Context(), a.wish)
	switch {
	case errors.Is(err, signin.ErrSignIn):
		return a.signInFirst()
	case errors.Is(err, signin.ErrChoose):
		return a.chooseFirst()
	case err != nil:
		return err
	}
	a.sendBack(url.Values{"code": {code.Reveal()}})
	return nil
}

// challengePattern is what a code_challenge by S256 looks like (RFC 7636, 4.2).
var challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// maxNonce is the longest nonce, in bytes: it has to fit into tokens.
const maxNonce = 1000

// read reads what the application wishes.
func (a *authorization) read() error {
	q := a.query
	if err := once(q); err != nil {
		return err
	}
	switch {
	case q.Has("request"):
		return failure("request_not_supported", "Send the parameters as they are.")
	case q.Has("request_uri"):
		return failure("request_uri_not_supported", "Send the parameters as they are.")
	case q.Get("response_type") != "code":
		return failure(unsupportedResponse, "response_type must be code.")
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return failure(invalidRequest, "response_mode must be query, or left out.")
	case q.Get("code_challenge_method") != "S256" || !challengePattern.MatchString(q.Get("code_challenge")):
		return failure(invalidRequest, "PKCE is needed: code_challenge, by code_challenge_method S256.")
	case len(q.Get("nonce")) > maxNonce:
		return failure(invalidRequest, "nonce is too long.")
	case !db.Storable(q.Get("nonce")):
		return failure(invalidRequest, "nonce is text without the character NUL.")
	}
	if a.prompt = strings.Fields(q.Get("prompt")); len(a.prompt) > 1 && slices.Contains(a.prompt, promptNone) {
		return failure(invalidRequest, "prompt=none stands alone.")
	}
	for _, one := range a.prompt {
		if !slices.Contains([]string{promptNone, promptLogin, promptSelect, promptConsent, promptCreate}, one) {
			return failure(invalidRequest, "prompt has a value that is not known.")
		}
	}
	since, err := a.signedInSince()
	if err != nil {
		return err
	}
	a.wish = signin.Authorization{
		Application: a.app, RedirectURL: q.Get("redirect_uri"), Challenge: q.Get("code_challenge"), Scopes: scopes(q.Get("scope")), Resource: q.Get("resource"),
		Organization: organization(q), SignedInSince: since,
	}
	if q.Has("nonce") {
		a.wish.Nonce = new(q.Get("nonce"))
	}
	return nil
}

// signedInSince returns the earliest moment at which the person may have signed in.
func (a *authorization) signedInSince() (time.Time, error) {
	if slices.ContainsFunc(a.prompt, func(one string) bool { return one == promptLogin || one == promptSelect || one == promptCreate }) {
		return a.now.Add(time.Hour), nil // nobody has, until they come back
	}
	since := a.since()
	if text := a.query.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return since, failure(invalidRequest, "max_age is a number of seconds.")
		}
		if by := a.now.Add(-time.Duration(seconds) * time.Second); by.After(since) {
			since = by
		}
	}
	return since, nil
}

// since returns when the browser was sent to sign in, or the zero time if it was not.
func (a *authorization) since() time.Time {
	seconds, err := strconv.ParseInt(a.query.Get(sinceParameter), 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// kept are the parameters that the browser brings back when the person has signed in.
// Whoever comes back has signed in just now, so that prompt and max_age are done with.
var kept = []string{
	"client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "resource", "organization", "org_code", sinceParameter,
}

// back returns the address at which the browser goes on here.
func (a *authorization) back(since time.Time) string {
	q := url.Values{}
	for _, name := range kept {
		if value := a.query.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	if !since.IsZero() {
		q.Set(sinceParameter, strconv.FormatInt(since.Unix(), 10))
	}
	return authorizePath + "?" + q.Encode()
}

// maxBack is the longest address that the pages send a browser back to.
const maxBack = 1500

// signInFirst sends the person to sign in, and back.
func (a *authorization) signInFirst() error {
	if slices.Contains(a.prompt, promptNone) {
		return failure(loginRequired, "Nobody is signed in, or not since max_age.")
	}
	page, q := signInPage, url.Values{"prompt": {promptLogin}}
	if slices.Contains(a.prompt, promptCreate) {
		page = signUpPage
	}
	for _, name := range []string{"organization", "org_code"} {
		if value := a.query.Get(name); value != "" {
			q.Set("organization", value)
		}
	}
	if hint := a.query.Get("login_hint"); hint != "" && len(hint) <= maxNonce {
		q.Set("login_hint", hint)
	}
	return a.send(page, q, a.back(a.now))
}

// chooseFirst lets the person choose an organization, and come back.
func (a *authorization) chooseFirst() error {
	if slices.Contains(a.prompt, promptNone) {
		return failure(interactionRequired, "The person belongs to several organizations: name one by organization.")
	}
	return a.send(organizationPage, url.Values{}, a.back(time.Time{}))
}

func (a *authorization) send(page string, q url.Values, back string) error {
	if len(back) > maxBack {
		return failure(invalidRequest, "The request is too long: shorten state and nonce.")
	}
	q.Set("return_to", back)
	redirect(a.writer, page+"?"+q.Encode())
	return nil
}
