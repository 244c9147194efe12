"""What a ticket is: masks, scores, selection, enforcement, arms and the ticket file."""
