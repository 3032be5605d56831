package cli

import (
	"io"

	"github.com/cheggaaa/pb/v3"
)

// progress shows how far something is, to somebody who watches. A nil one shows nothing.
type progress struct{ bar *pb.ProgressBar }

// newProgress begins to show something of that size; 0 if that is not known yet. It returns
// nil if nobody watches.
func newProgress(o Options, what string, total int64, inBytes bool) *progress {
	if !o.Watched {
		return nil
	}
	bar := pb.New64(total).SetTemplate(pb.Full).SetWriter(o.Err).Set("prefix", what).Set(pb.CleanOnFinish, true)
	if inBytes {
		bar.Set(pb.Bytes, true)
	}
	return &progress{bar.Start()}
}

// at shows that so much is done.
func (p *progress) at(done, total int64) {
	if p != nil {
		p.bar.SetTotal(total).SetCurrent(done)
	}
}

// reader returns r, and shows what is read from it.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return p.bar.NewProxyReader(r)
}

// end takes the bar away.
func (p *progress) end() {
	if p != nil {
		p.bar.Finish()
	}
}
