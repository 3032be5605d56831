package mail

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"sync"
)

// MailboxPath is where a Mailbox is served.
const MailboxPath = "/dev/mail"

// maxMails is how many mails a Mailbox keeps.
const maxMails = 100

// Mailbox is a sender for development: it shows mails instead of sending them. It keeps the
// last hundred in memory. The zero value is an empty mailbox.
type Mailbox struct {
	mu    sync.Mutex
	mails []*Mail // the newest last
}

// Send implements [Sender].
func (b *Mailbox) Send(_ context.Context, m *Mail) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, m)
	b.mails = b.mails[max(0, len(b.mails)-maxMails):]
	return nil
}

// latest returns the mails, the newest first.
func (b *Mailbox) latest() []*Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	mails := append([]*Mail{}, b.mails...) // not null in JSON
	slices.Reverse(mails)
	return mails
}

// page holds the page, its script and its style.
//
//go:embed mailbox
var page embed.FS

// pagePolicy allows what the page needs. A mail is shown in a frame without scripts, which
// may load the logo of the business, and has its styles in itself.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; " +
	"img-src https: http: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the mailbox:
//
//	GET  /dev/mail           the page, which shows nothing by itself
//	GET  /dev/mail/messages  the mails in JSON, the newest first; POST does the same
//
// Whoever reads the mails can sign in as anybody. guard returns a handler that passes
// on requests of those who may, and no others.
func (b *Mailbox) Handler(guard func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	for path, file := range map[string]string{"/{$}": "page.html", "/mailbox.js": "mailbox.js", "/mailbox.css": "mailbox.css"} {
		mux.HandleFunc("GET "+MailboxPath+path, serveFile(file))
	}
	mux.HandleFunc("GET "+MailboxPath, serveFile("page.html"))
	messages := guard(http.HandlerFunc(b.serveMessages))
	mux.Handle("GET "+MailboxPath+"/messages", messages)
	mux.Handle("POST "+MailboxPath+"/messages", messages)
	return mux
}

func (b *Mailbox) serveMessages(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(b.latest()) // only the connection can fail
}

func serveFile(name string) http.HandlerFunc {
	files, err := fs.Sub(page, "mailbox")
	return func(w http.ResponseWriter, r *http.Request) {
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", pagePolicy)
		http.ServeFileFS(w, r, files, name)
	}
}
