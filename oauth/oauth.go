// Package oauth is the door for applications that sign people in through Roster: an OpenID
// provider (OpenID Connect Core 1.0) by the rules of RFC 9700.
//
//	/.well-known/openid-configuration  what there is, for libraries that find out by themselves
//	/.well-known/jwks.json             the keys by which tokens are verified
//	/oauth/authorize                   the browser comes with a wish, and leaves with a code
//	/oauth/token                       tokens for a code, for a refresh token, for a MACHINE
//	/oauth/userinfo                    who the person is
//	/oauth/revoke, /oauth/introspect   the end and the state of a token
//	/oauth/logout                      the browser is signed out
//
// People sign in on the pages at /signin, which send browsers back here. Package signin has
// the rules; docs/applications.md tells developers how to use them.
//
// Begin with New, and Handler.authorize in authorize.go.
package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/cors"

	"roster/access"
	"roster/directory"
	"roster/problem"
	"roster/queue"
	"roster/signin"
	"roster/signin/browser"
)

// The paths of the endpoints.
const (
	Path              = "/oauth/" // everything below it
	WellKnownPath     = "/.well-known/"
	authorizePath     = Path + "authorize"
	tokenPath         = Path + "token"
	userInfoPath      = Path + "userinfo"
	revokePath        = Path + "revoke"
	introspectPath    = Path + "introspect"
	logoutPath        = Path + "logout"
	configurationPath = WellKnownPath + "openid-configuration"
	metadataPath      = WellKnownPath + "oauth-authorization-server" // RFC 8414
	jwksPath          = WellKnownPath + "jwks.json"
)

// The pages that browsers are sent to.
const (
	signInPage       = "/signin"
	signUpPage       = signInPage + "/signup"
	organizationPage = signInPage + "/organization"
	signOutPage      = signInPage + "/account/signout"
)

// Options are what the door needs. All are required.
type Options struct {
	SignIn    *signin.Service
	Directory *directory.Directory
	Cookies   *browser.Cookies
	// JWKS answers requests for the public keys.
	JWKS http.HandlerFunc
	// Refuse shows people why they cannot go on, where there is no application to tell.
	Refuse func(w http.ResponseWriter, r *http.Request, p *problem.Error)
	// Urgently lets work in that ends access, however busy the server is. It returns a context
	// for it, and leave, which is called when the work is done.
	Urgently func(ctx context.Context) (urgent context.Context, leave func(), err error)
	// Denied counts and logs what was denied to a client, by the kinds of the problems; door is
	// the name of this one. Other kinds are no denials.
	Denied func(ctx context.Context, r *http.Request, door string, kinds ...problem.Kind)
	Log    *slog.Logger
}

// Handler answers requests of applications, and of browsers that they have sent.
type Handler struct {
	Options
	mux *http.ServeMux
}

// timeout is how long a request may take, without its body.
const timeout = 30 * time.Second

// New returns the door.
func New(o Options) *Handler {
	h := &Handler{o, http.NewServeMux()}
	for path, serve := range map[string]http.HandlerFunc{authorizePath: h.authorize, logoutPath: h.logout} {
		h.mux.HandleFunc("GET "+path, serve)
		h.mux.HandleFunc("POST "+path, h.byGet)
	}
	// Pages of any origin may call these: what they carry is shown on purpose, and the cookie
	// of a session does nothing.
	open := cors.New(cors.Options{
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost}, AllowedHeaders: []string{"Authorization", "Content-Type"},
		ExposedHeaders: []string{"WWW-Authenticate", "Retry-After"}, MaxAge: 600, // seconds
	})
	for path, serve := range map[string]http.HandlerFunc{
		configurationPath: only(h.configuration, http.MethodGet, http.MethodHead), metadataPath: only(h.configuration, http.MethodGet, http.MethodHead),
		jwksPath: only(o.JWKS, http.MethodGet, http.MethodHead), userInfoPath: only(h.userInfo, http.MethodGet, http.MethodPost),
		tokenPath: only(h.token, http.MethodPost), revokePath: only(h.revoke, http.MethodPost), introspectPath: only(h.introspect, http.MethodPost),
	} {
		h.mux.Handle(path, open.Handler(serve))
	}
	return h
}

// only answers requests by other methods with 405.
func only(serve http.HandlerFunc, methods ...string) http.HandlerFunc {
	allowed := strings.Join(methods, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range methods {
			if r.Method == method {
				serve(w, r)
				return
			}
		}
		w.Header().Set("Allow", allowed)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	if !strings.HasPrefix(r.URL.Path, WellKnownPath) {
		w.Header().Set("Cache-Control", "no-store")
	}
	ctx = queue.WithHolders(ctx, browser.Source(r)) // until it is known who asks
	h.mux.ServeHTTP(w, r.WithContext(ctx))
}

// maxBody is the most that a form may send, in bytes.
const maxBody = 32 << 10

// byGet sends a browser that brings a form here again, so that its cookie comes along:
// browsers do not send it with the forms of other sites.
func (h *Handler) byGet(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		h.Refuse(w, r, problem.New(problem.Invalid, "This form did not arrive as a whole."))
		return
	}
	redirect(w, r.URL.Path+"?"+r.PostForm.Encode())
}

// redirect sends the browser on. The location is not tidied, as http.Redirect does it: it is
// what was checked. By 303, no browser sends a form along (RFC 9700, 4.12).
func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// with returns the address with more parameters.
func with(address string, parameters url.Values) string {
	between := "?"
	if strings.Contains(address, "?") {
		between = "&"
	}
	return address + between + parameters.Encode()
}

// visit returns the request, with the person as its actor whose session the browser holds,
// if there is one that works; otherwise the browser forgets it.
func (h *Handler) visit(w http.ResponseWriter, r *http.Request) (*http.Request, *signin.Visit, error) {
	v := browser.Visit(r, true)
	ctx := r.Context()
	shown, err := h.Cookies.Read(r)
	if err != nil {
		return nil, nil, err
	}
	if !shown.Empty() {
		actor, err := h.SignIn.Authenticate(ctx, shown, "")
		switch {
		case problem.Is(err, problem.Unauthenticated) || err == nil && !actor.SignedIn():
			h.Cookies.Clear(w)
		case err != nil:
			return nil, nil, err
		default:
			ctx = queue.WithHolders(access.WithActor(ctx, actor), actor.Holders()...)
		}
	}
	return r.WithContext(signin.WithVisit(ctx, v)), v, nil
}
