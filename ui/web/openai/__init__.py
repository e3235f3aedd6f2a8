"""OpenAI's protocol over a library: chat completions, responses, models, embeddings, with citations."""
