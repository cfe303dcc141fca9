package main

import (
	"time"

	"sipregd/internal/admin"
)

// startWebhook begins to post events, if they are to be.
func (d *sipregd) startWebhook() (err error) {
	if d.config.Admin.Webhook == "" {
		return nil
	}
	d.webhook, err = admin.NewWebhook(admin.WebhookOptions{
		URL: d.config.Admin.Webhook, Secret: d.config.Admin.WebhookSecret, Observer: d,
	})
	if err == nil {
		d.webhook.Start(d.recorder)
	}
	return err
}

// closeWebhook posts what is left, as far as that goes.
func (d *sipregd) closeWebhook() {
	if d.webhook != nil {
		d.webhook.Close()
	}
}

// WebhookFails tells that events cannot be posted.
func (d *sipregd) WebhookFails(cause error, since time.Time, waiting int) {
	d.log.Warn().Str("event", "webhook_fails").Err(cause).Time("since", since).Int("waiting", waiting).
		Msg("events are not taken by the webhook: they wait, and are posted again")
}

// WebhookFine tells that events are posted again.
func (d *sipregd) WebhookFine(after time.Duration) {
	d.log.Info().Str("event", "webhook_fine").Dur("after_ms", after).Msg("the webhook takes events again")
}

// WebhookDropped tells that events were not posted.
func (d *sipregd) WebhookDropped(events uint64) {
	d.log.Error().Str("event", "webhook_dropped").Uint64("events", events).
		Msg("events were not posted: too many waited for the webhook")
}
