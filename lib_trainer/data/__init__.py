"""From pictures to batches: scan, captions, buckets, caches, batches."""
